"""The commands: YAML file -> typed config -> Ray and MLflow -> preprocess, train, tune, evaluate, verify, demo.

`preprocessing` turns a data set's videos into shards described by `preprocessing/schema.py`; `training` reads shards as
batches and fits a model under an objective; `evaluation` loads a checkpoint and measures it under attacks. A stage
imports only the stages before it; this package imports all of them and nothing imports it.
"""
