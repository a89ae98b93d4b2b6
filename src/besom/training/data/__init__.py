"""Datasets: what ``data=...`` names, what a dataset is made of, and how one is opened."""

from besom.training.data.dataset import Dataset, NoTestExamples, NoTestImages, TrainingData
from besom.training.data.loading import load_test, load_training
from besom.training.data.reading.builtin import digits, fashion_mnist, mnist, npz
from besom.training.data.reading.folders import image_folder, text_folder
from besom.training.data.reading.given import given
from besom.training.data.tabular.frames import csv, frame, parquet

__all__ = [
    "Dataset",
    "NoTestExamples",
    "NoTestImages",
    "TrainingData",
    "csv",
    "digits",
    "fashion_mnist",
    "frame",
    "given",
    "image_folder",
    "load_test",
    "load_training",
    "mnist",
    "npz",
    "parquet",
    "text_folder",
]
