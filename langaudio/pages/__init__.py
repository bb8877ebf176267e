"""The Languages pages: the corpus and its models to look at, to hear and to try, in any browser.

A FastAPI application of its own that knows nothing of Airflow: ``langaudio.pages.app``. Whoever serves it
says who asks and what they may; ``plugins/languages.py`` does so by Airflow's login. Pages are made on the
server, and what they show is the JSON API's as well.

The process that serves them stays small: what needs torch, numba, matplotlib or onnxruntime runs in child
processes that end when they are idle (``langaudio.workers``), and is found in ``langaudio.pages.tasks``.
"""
