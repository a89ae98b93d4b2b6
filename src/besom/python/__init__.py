"""besom from Python: functions, arrays and a space become configs that any command can read, and
what a call gives back and shows.

Read from the top; each line uses those below it::

    study_object.py   the study that a call returns
    study_html.py       as a notebook shows it
    progress.py       what is shown while a sweep runs
    training_apart.py one run, in a process of its own
    calls.py          what was called, as a plan of a sweep or a config of one run
    options.py          keywords and functions as the YAML that they stand for
    spaces.py           a space as a mapping: tuples, lists, distributions, grammar
    handing_over.py     what the workers need, written into the study's folder
    datasets.py           arrays and tables as .npy files
    functions.py          functions and classes as files
    identity.py             whether a function is still the same: its source and what it uses
    reimported.py           a function as its file has it now
"""
