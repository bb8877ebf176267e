"""The command ``langaudio``: one command a stage, and the local services.

What a user got wrong ends in one sentence and exit status 2.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from typer.core import TyperGroup

from langaudio.errors import LangaudioError
from langaudio.settings import settings

if TYPE_CHECKING:
    from langaudio.serve import Model, Timeline


class _Commands(TyperGroup):
    """``langaudio augment preview`` is ``langaudio preview``: no language has such a tag."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:2] == ["augment", "preview"]:
            args = args[1:]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Commands,
    help="Keep a spoken-language classifier fresh: one command for each stage, and the local services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Language = Annotated[str, typer.Argument(metavar="LANG", help="BCP-47 tag of a language, for example fr.")]
Languages = Annotated[list[str], typer.Argument(metavar="LANG…", help="BCP-47 tags, for example fr en de.")]
Source = Annotated[str, typer.Option(help="Where the clips come from.")]
RunId = Annotated[str, typer.Option(help="Name of the run; the same name goes on with the same run.")]
Location = Annotated[str, typer.Option(help="Folder or s3:// prefix of the source corpus.")]
Recipe = Annotated[str, typer.Option(help="Name, path or s3:// address of an augmentation recipe (TOML).")]
Among = Annotated[str, typer.Option(help="Tags of the languages that it may be in, as in fr,de.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
ModelFile = Annotated[Path | None, typer.Option(help="A model.onnx to ask instead of the champion.")]
Seed = Annotated[int, typer.Option(help="Seed of all random draws.")]


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("botocore", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # a server that is away is told once, by us
    try:
        app()
    except LangaudioError as error:
        typer.echo(f"langaudio: {error}", err=True)
        sys.exit(2)


@app.command()
def crawl(
    language: Language,
    source: Source = "audio_lingua",
    run_id: RunId = "",
    limit: Annotated[int, typer.Option(help="Look at the newest clips only; 0: all.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Walk the whole list, to find what is gone.")] = False,
    location: Location = "",
) -> None:
    """Fetch a language's new clips from a source into staging."""
    from langaudio import stages

    run_id = run_id or _new_run()
    report = stages.crawl(language, source=source, run=run_id, limit=limit, full=full, location=location)
    _tell(report | {"run_id": run_id})


@app.command("import")
def import_corpus(
    location: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder of recordings, or s3://….")],
    languages: Annotated[
        list[str] | None, typer.Argument(metavar="LANG…", help="Languages of it; all if none are named.")
    ] = None,
    run_id: RunId = "",
) -> None:
    """Take recordings of your own into the corpus: crawl and upload, for each of their languages."""
    from langaudio import stages

    run_id = run_id or _new_run()
    for language in stages.plan(languages or [], "corpus", location):
        found = stages.crawl(language, source="corpus", run=run_id, location=location)
        report = stages.upload(language, source="corpus", run=run_id)
        _tell({"language": language, "seen": found["seen"], **report})


@app.command()
def upload(
    language: Language,
    source: Source = "audio_lingua",
    run_id: Annotated[str, typer.Option(help="Run of the crawl; empty: the newest one.")] = "",
) -> None:
    """Check what a crawl staged; publish the good clips, quarantine the bad."""
    from langaudio import stages
    from langaudio.crawl.staging import newest_run
    from langaudio.store import default_store

    run_id = run_id or newest_run(default_store(), source, language)
    _tell(stages.upload(language, source=source, run=run_id))


@app.command()
def augment(
    language: Language,
    recipe: Recipe = "default",
    copies: Annotated[int, typer.Option(help="Augmented copies of each training segment.")] = 2,
    balance_minutes: Annotated[
        float, typer.Option(help="A language with less training speech gets more copies, up to four times.")
    ] = 30.0,
    seed: Seed = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Processes; 0: one a core. LANGAUDIO_WORKERS if left out.", show_default=False
        ),
    ] = None,
    part: Annotated[
        str, typer.Option(help="Part of the language, as in 2/4, if others make the others; empty: all.")
    ] = "",
    run_id: RunId = "manual",
) -> None:
    """Multiply a language's training clips into shards; only what is missing is made.

    `langaudio augment preview FILE` shows what a recipe does.
    """
    from langaudio import stages

    _tell(
        stages.augment(
            language,
            run=run_id,
            recipe=recipe,
            copies=copies,
            balance_minutes=balance_minutes,
            seed=seed,
            workers=workers,
            part=part,
        )
    )


@app.command()
def preview(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of any common format.")],
    recipe: Recipe = "default",
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for the page, its pictures and its sounds.")] = Path(
        "preview"
    ),
) -> None:
    """Show what a recipe does to a recording: a page to see and hear. Also: langaudio augment preview."""
    from langaudio.preview import preview

    *_, page = preview(file, out, recipe=recipe, seed=seed)
    typer.echo(page)


@app.command()
def train(
    languages: Languages,
    recipe: Recipe = "default",
    epochs: Annotated[int, typer.Option(min=1, help="How long to train, at most.")] = 24,
    seed: Seed = 0,
    start: Annotated[
        Literal["champion", "scratch"],
        typer.Option(
            "--from", help="Where languages are added to the champion's: begin with its weights, or anew."
        ),
    ] = "champion",
) -> None:
    """Train a network on augmented speech; prints the id of its MLflow run.

    Every visible GPU takes part. On several machines, start it on each by torchrun.
    """
    from langaudio import stages

    report = stages.train(languages, recipe=recipe, epochs=epochs, seed=seed, start=start)
    if report["run_id"]:  # of several processes the first has it
        _tell(report)


@app.command()
def evaluate(run_id: Annotated[str, typer.Argument(metavar="RUN", help="MLflow run of a training.")]) -> None:
    """Score a trained network, and the present champion, on the test speakers."""
    from langaudio import stages

    _tell(stages.evaluate(run_id))


@app.command()
def promote(run_id: Annotated[str, typer.Argument(metavar="RUN", help="MLflow run of a training.")]) -> None:
    """Register a trained network; the champion gives way if it is beaten."""
    from langaudio import stages

    _tell(stages.promote(run_id))


@app.command()
def rollback(
    version: Annotated[
        int | None,
        typer.Argument(metavar="VERSION", help="Number of a version; the last champion before if none."),
    ] = None,
) -> None:
    """Make a former champion champion again."""
    from langaudio.promote import rollback

    _tell(dataclasses.asdict(rollback(version)))


@app.command()
def identify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Audio files of any common format.")],
    as_json: AsJson = False,
    among: Among = "",
    model: ModelFile = None,
) -> None:
    """Tell which language is spoken in a recording: its name, unknown, or no speech."""
    from langaudio.serve import identify
    from langaudio.serve.report import identification_json, identification_table

    chosen = _model(model)
    found = [(str(file), identify(file, chosen, among=_tags(among))) for file in files]
    if as_json:
        typer.echo(identification_json(found))
    else:
        Console().print(identification_table(found))


@app.command()
def timeline(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of any length.")],
    as_json: AsJson = False,
    picture: Annotated[Path | None, typer.Option(help="Draw it, too, to this PNG file.")] = None,
    among: Among = "",
    model: ModelFile = None,
) -> None:
    """Tell which languages are spoken in a long recording, and when."""
    from langaudio.serve import timeline
    from langaudio.serve.report import timeline_json, timeline_table

    found = timeline(file, _model(model), among=_tags(among))
    if picture is not None:
        _draw(picture, found)
    if as_json:
        typer.echo(timeline_json(str(file), found))
    else:
        Console().print(timeline_table(str(file), found))


@app.command()
def figures(
    clip: Annotated[Path | None, typer.Option(help="Clip that the transforms are shown on.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the pictures go.")] = Path("figures"),
) -> None:
    """Draw the transforms on a clip, the champion's scores and curves, and the corpus."""
    from langaudio.figures import draw_all
    from langaudio.store import default_store

    for file in draw_all(default_store(), folder, clip):
        typer.echo(file)


@app.command()
def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Hash every clip and read every shard.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be, losing nothing.")] = False,
) -> None:
    """Check the bucket against its contract; exit status 1 if it has faults."""
    from langaudio import doctor as doctors
    from langaudio.report import diagnosis_table
    from langaudio.store import default_store

    diagnosis = doctors.diagnose(default_store(), deep=deep)
    Console().print(diagnosis_table(diagnosis))
    if repair:
        mended = doctors.repair(diagnosis)
        typer.echo(f"Mended: {', '.join(f'{count} {kind}' for kind, count in mended.items()) or 'nothing'}.")
        diagnosis = doctors.diagnose(default_store(), deep=deep)
        Console().print(diagnosis_table(diagnosis))
    raise typer.Exit(1 if diagnosis.faults else 0)


@app.command()
def catalog(
    languages: Annotated[
        list[str] | None, typer.Argument(metavar="LANG…", help="Languages; all if none are named.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write the rows to a .csv or .jsonl file, or clips and tables to a folder."),
    ] = None,
) -> None:
    """Show what the corpus has; or export it as a table, or as a Hugging Face audiofolder."""
    from langaudio.export import export_to
    from langaudio.report import catalog_table
    from langaudio.store import default_store

    if export is None:
        Console().print(catalog_table(default_store(), languages))
    else:
        typer.echo(f"{export_to(default_store(), export, languages)} clips exported to {export}")


@app.command()
def quarantine(
    languages: Annotated[
        list[str] | None, typer.Argument(metavar="LANG…", help="Languages; all if none are named.")
    ] = None,
    reason: Annotated[str, typer.Option(help="List the clips that were refused for this reason.")] = "",
) -> None:
    """Count what was refused, by reason; or list the clips of one reason."""
    from langaudio import report
    from langaudio.store import default_store

    if reason:
        Console().print(report.refusals_table(default_store(), languages, reason))
    else:
        Console().print(report.quarantine_table(default_store(), languages))


@app.command()
def release(
    language: Language, clips: Annotated[list[str], typer.Argument(metavar="CLIP…", help="Ids of clips.")]
) -> None:
    """Decide that clips which stand under two languages are of this one."""
    from langaudio.release import release
    from langaudio.store import default_store

    for clip_id in clips:
        release(default_store(), language, clip_id)
        typer.echo(f"{clip_id} is in the catalog of {language} again.")


@app.command()
def forget(
    clip: Annotated[str, typer.Option(help="Id of a clip.")] = "",
    speaker: Annotated[str, typer.Option(help="Pseudonym of a speaker, as the catalog has it.")] = "",
    source: Annotated[str, typer.Option(help="Name of a source.")] = "",
) -> None:
    """Remove recordings everywhere and for good, and mark the models that learned from them."""
    from langaudio.forget import forget
    from langaudio.store import default_store

    named = {"clip": clip, "speaker": speaker, "source": source}
    wished = [(what, name) for what, name in named.items() if name]
    if len(wished) != 1:
        raise LangaudioError("Name what is to be forgotten: one of --clip, --speaker or --source.")
    ((what, name),) = wished
    # The names of the options are the kinds of wishes, which are typed as literals.
    _tell(dataclasses.asdict(forget(default_store(), what, name)))  # type: ignore[arg-type]


@app.command()
def up() -> None:
    """Start S3, MLflow, the demo site and Airflow on this machine, and wait until they are well."""
    from langaudio import services
    from langaudio.demo.site import build_synthetic
    from langaudio.report import services_table

    services.up(lambda: build_synthetic(settings().home / "site"), typer.echo)
    Console().print(services_table())


@app.command()
def down() -> None:
    """Stop the local services; their data stays."""
    from langaudio import services

    services.down(typer.echo)


@app.command()
def status() -> None:
    """Show which local services run, and what ended by itself."""
    from langaudio import services
    from langaudio.report import services_table

    if services.running(settings().home):
        Console().print(services_table())
        return
    typer.echo(f"No services of {settings().home} are running; start them with `make up`.")
    if note := services.death_note(settings().home):
        typer.echo(note)


@app.command(hidden=True)
def demo_site(
    build: Annotated[
        bool, typer.Option("--build", help="Build it of synthetic voices first, if it is not there.")
    ] = False,
) -> None:
    """Serve the demo site; the local services run this."""
    from langaudio.demo.site import build_synthetic, serve

    site = settings().home / "site"
    if build and not site.exists():
        build_synthetic(site)
    serve(site, settings().demo_port)


@app.command()
def prepare(
    cpu_slots: Annotated[
        int, typer.Option(min=1, help="Uploads, and augmentations, at a time: the workers' cores in all.")
    ] = 16,
) -> None:
    """Make what a deployment on many workers needs: databases, buckets, Airflow's tables, pools and login."""
    from langaudio.services.prepare import prepare

    prepare(cpu_slots, typer.echo)


@app.command()
def demo(
    corpus: Annotated[
        Path | None, typer.Option(help="Serve the recordings of this folder (with manifest.csv) instead.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How long to train: 8 for the synthetic voices, else 20.")
    ] = None,
) -> None:
    """Start everything and run the whole job in Airflow, from a demo site to identified clips."""
    from langaudio.demo.run import run

    run(corpus, epochs or (8 if corpus is None else 20))


def _tags(among: str) -> list[str]:
    return [code.strip() for code in among.split(",") if code.strip()]


def _model(file: Path | None) -> Model:
    from langaudio.serve import load_champion, load_model

    return load_champion() if file is None else load_model(file)


def _draw(picture: Path, found: Timeline) -> None:
    from langaudio import figures

    try:
        picture.write_bytes(figures.timeline(found))
    except OSError as error:
        raise LangaudioError(f"{picture} cannot be written: {error.strerror}.") from None


def _new_run() -> str:
    return f"manual-{datetime.now(UTC):%Y%m%dT%H%M%S}"


def _tell(report: dict[str, Any]) -> None:
    typer.echo(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
