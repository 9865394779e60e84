"""How the tasks of a DAG file start steps: processes, containers, or pods."""
