"""``besom init``: a new project's files, of an example or for a table in a CSV file."""

from besom.scaffold.for_csv import project_for_csv
from besom.scaffold.new_project import NewProject, check_folder, project_name
from besom.scaffold.spirals import example_project

__all__ = ["NewProject", "check_folder", "example_project", "project_for_csv", "project_name"]
