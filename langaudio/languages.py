"""The registry of languages: BCP-47 tag, English name, and where each source keeps it.

A new language is a row here.
"""

from __future__ import annotations

from dataclasses import dataclass

from langaudio.errors import LangaudioError, suggest


@dataclass(frozen=True)
class Language:
    """A language and where to find it.

    Attributes:
        code: BCP-47 tag, the language's only identifier in keys, tables and labels.
        name: English name, for people.
        iso639_3: code of three letters, by which Tatoeba and other sources know it.
        sections: source name → where the source keeps it, for example the number of its list ("rubrique").
    """

    code: str
    name: str
    iso639_3: str
    sections: dict[str, str]


_RUBRIQUES = {"fr": 1, "en": 2, "de": 3, "es": 4, "it": 6, "ru": 7, "pt": 8, "zh": 9, "oc": 10, "ar": 11}
_RUBRIQUES |= {"ca": 12, "co": 15, "gcf": 16, "he": 22}
"""Lists of audio-lingua."""

_DEMO_ONLY = {"fa": 101, "nl": 102, "sv": 103, "tr": 104}
"""Lists that only the demo site has; its other lists have audio-lingua's numbers."""

_ROWS = """
ab  abk Abkhazian         | af  afr Afrikaans      | am  amh Amharic       | ar  ara Arabic
as  asm Assamese          | az  aze Azerbaijani    | ba  bak Bashkir       | be  bel Belarusian
bg  bul Bulgarian         | bn  ben Bengali        | bo  bod Tibetan       | br  bre Breton
bs  bos Bosnian           | ca  cat Catalan        | ceb ceb Cebuano       | co  cos Corsican
cs  ces Czech             | cy  cym Welsh          | da  dan Danish        | de  deu German
el  ell Greek             | en  eng English        | eo  epo Esperanto     | es  spa Spanish
et  est Estonian          | eu  eus Basque         | fa  pes Persian       | fi  fin Finnish
fo  fao Faroese           | fr  fra French         | gcf gcf Guadeloupean Creole | gl glg Galician
gn  grn Guarani           | gu  guj Gujarati       | gv  glv Manx          | ha  hau Hausa
haw haw Hawaiian          | he  heb Hebrew         | hi  hin Hindi         | hr  hrv Croatian
ht  hat Haitian Creole    | hu  hun Hungarian      | hy  hye Armenian      | ia  ina Interlingua
id  ind Indonesian        | is  isl Icelandic      | it  ita Italian       | ja  jpn Japanese
jv  jav Javanese          | ka  kat Georgian       | kk  kaz Kazakh        | km  khm Khmer
kn  kan Kannada           | ko  kor Korean         | la  lat Latin         | lb  ltz Luxembourgish
ln  lin Lingala           | lo  lao Lao            | lt  lit Lithuanian    | lv  lvs Latvian
mg  mlg Malagasy          | mi  mri Maori          | mk  mkd Macedonian    | ml  mal Malayalam
mn  mon Mongolian         | mr  mar Marathi        | ms  zsm Malay         | mt  mlt Maltese
my  mya Burmese           | ne  npi Nepali         | nl  nld Dutch         | nn  nno Norwegian Nynorsk
no  nob Norwegian Bokmål  | oc  oci Occitan        | pa  pan Punjabi       | pl  pol Polish
ps  pus Pashto            | pt  por Portuguese     | ro  ron Romanian      | ru  rus Russian
sa  san Sanskrit          | sco sco Scots          | sd  snd Sindhi        | si  sin Sinhala
sk  slk Slovak            | sl  slv Slovenian      | sn  sna Shona         | so  som Somali
sq  sqi Albanian          | sr  srp Serbian        | su  sun Sundanese     | sv  swe Swedish
sw  swh Swahili           | ta  tam Tamil          | te  tel Telugu        | tg  tgk Tajik
th  tha Thai              | tk  tuk Turkmen        | tl  tgl Tagalog       | tr  tur Turkish
tt  tat Tatar             | uk  ukr Ukrainian      | ur  urd Urdu          | uz  uzb Uzbek
vi  vie Vietnamese        | war war Waray          | yi  yid Yiddish       | yo  yor Yoruba
zh  cmn Chinese
"""
"""Tag, ISO 639-3 code and English name: the languages of VoxLingua107, and those of audio-lingua."""

_ALIASES = {"iw": "he", "jw": "jv", "nb": "no", "cmn": "zh", "fil": "tl", "in": "id", "ji": "yi"}
"""Older or narrower tags that corpora use."""


def _language(row: str) -> Language:
    code, iso639_3, name = row.split(maxsplit=2)
    sections = {"tatoeba": iso639_3, "corpus": code}
    if code in _RUBRIQUES:
        sections |= dict.fromkeys(("audio_lingua", "demo"), str(_RUBRIQUES[code]))
    if code in _DEMO_ONLY:
        sections["demo"] = str(_DEMO_ONLY[code])
    return Language(code, name.strip(), iso639_3, sections)


LANGUAGES: dict[str, Language] = {
    language.code: language for language in map(_language, _ROWS.strip().replace("\n", "|").split("|"))
}


def get(code: str) -> Language:
    """Return the language with this tag.

    Raises:
        LangaudioError: the tag is not in the registry.
    """
    try:
        return LANGUAGES[code]
    except KeyError:
        meant = recognise(code)
        hint = f" (did you mean {meant!r}?)" if meant else suggest(code, LANGUAGES)
        others = "" if hint else f"; known are {', '.join(LANGUAGES)}"
        raise LangaudioError(f"{code!r} is not a known language tag{hint}{others}.") from None


def recognise(name: str) -> str | None:
    """Return the tag of a language that somebody else names, or None.

    Known are tags with region or script, in any case, codes of ISO 639-3, and English names.

    >>> [recognise(name) for name in ("zh-CN", "pt_BR", "iw", "fra", "French", "cy: Welsh", "klingon")]
    ['zh', 'pt', 'he', 'fr', 'fr', 'cy', None]
    """
    wanted = name.partition(":")[0].strip().lower()
    main = wanted.replace("_", "-").partition("-")[0]
    for candidate in (wanted, main, _ALIASES.get(main), _CODES.get(wanted), _CODES.get(main)):
        if candidate in LANGUAGES:
            return candidate
    return None


_CODES = {
    alias: language.code
    for language in LANGUAGES.values()
    for alias in (language.iso639_3, language.name.lower())
}


def section(code: str, source: str) -> str:
    """Return where a source keeps a language.

    Raises:
        LangaudioError: unknown language, or the source does not have it.
    """
    language = get(code)
    try:
        return language.sections[source]
    except KeyError:
        raise LangaudioError(
            f"{source} has no {language.name} ({code}); it has {', '.join(offered_by(source))}."
        ) from None


def offered_by(source: str) -> list[str]:
    """Return the tags of all languages that a source offers, sorted."""
    return sorted(code for code, language in LANGUAGES.items() if source in language.sections)
