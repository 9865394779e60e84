"""The feature views of the stack `features`, as files: python -m delays.views"""

from __future__ import annotations

from pathlib import Path

from delays import checks, features, tables

FOLDER = Path(__file__).parents[1] / "views"


def write(folder: Path) -> None:
    """Write the weather, in the order in which it was known."""
    weather, _ = checks.tidy_weather(tables.read("weather.csv"))
    folder.mkdir(exist_ok=True)
    weather[["origin", "known", *features.WEATHER]].to_parquet(folder / "weather.parquet")


if __name__ == "__main__":
    write(FOLDER)
    print(f"wrote {FOLDER / 'weather.parquet'}")
