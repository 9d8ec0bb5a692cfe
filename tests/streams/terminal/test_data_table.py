"""Tables fit a terminal, and are whole in a file."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from understudy.streams.terminal.consoles import table_console
from understudy.streams.terminal.data_table import Column, DataTable

COLUMNS = (
    Column("rollout", wraps_at=8),
    Column("units", "right", leaves=2),
    Column("harm", "right"),
    Column("interval", leaves=1),
    Column("reason", wraps_at=12),
)
ROW = ("checkout", "4,000", "+4.4 %", "+1.9 % to +7.4 %", "JSON validity fell by 4.4 points")


def table(*rows: tuple[str, ...]) -> DataTable:
    made = DataTable(COLUMNS)
    for row in rows or (ROW,):
        made.add_row(*row)
    return made


def printed(what: DataTable, width: int) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=width, color_system=None).print(what)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def test_with_enough_room_each_row_is_a_line() -> None:
    head, _, row = printed(table(), 100)
    assert head.split() == ["rollout", "units", "harm", "interval", "reason"]
    assert row == "checkout  4,000  +4.4 %  +1.9 % to +7.4 %  JSON validity fell by 4.4 points"


def test_sentences_wrap_before_a_column_leaves() -> None:
    head, _, *rows = printed(table(), 60)
    assert "interval" in head
    assert len(rows) > 1
    assert "no room" not in " ".join(rows)


def test_columns_leave_by_importance_and_are_named() -> None:
    head, _, *rows = printed(table(), 48)
    assert head.split() == ["rollout", "harm", "interval", "reason"]
    assert rows[-1] == "no room for units in 48 columns"
    head, _, *rows = printed(table(), 36)
    assert head.split() == ["rollout", "harm", "reason"]
    assert " ".join(rows[-2:]) == "no room for units, interval in 36 columns"


def test_rows_are_written_from_top_to_bottom_when_the_important_columns_do_not_fit() -> None:
    assert printed(table(ROW, ROW), 24)[:9] == [
        "── row 1 ──",
        "rollout   checkout",
        "units     4,000",
        "harm      +4.4 %",
        "interval  +1.9 % to +7.4",
        "          %",
        "reason    JSON validity",
        "          fell by 4.4",
        "          points",
    ]


def test_names_longer_than_the_terminal_stand_above_their_values() -> None:
    wide = DataTable([Column("a_column_with_a_long_name"), Column("b")])
    wide.add_row("1", "2")
    assert printed(wide, 20) == ["a_column_with_a_long", "_name", "  1", "b", "  2"]


def test_in_a_file_no_row_is_broken() -> None:
    screen = io.StringIO()
    table_console(screen).print(table((*ROW[:-1], "word " * 2_000)))
    _, _, row = screen.getvalue().splitlines()
    assert row.count("word") == 2_000


@given(
    st.lists(st.tuples(*[st.text(st.characters(), max_size=60)] * len(COLUMNS)), max_size=4),
    st.integers(20, 140),
)
def test_nothing_is_wider_than_the_terminal_and_no_value_is_lost(
    rows: list[tuple[str, ...]], width: int
) -> None:
    lines = printed(table(*rows, ROW), width)
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    assert "checkout" in "".join(lines)


def test_styles_stay_and_characters_that_act_are_numbers() -> None:
    made = DataTable([Column("name")], title="of \x1b[2J")
    made.add_row(Text("a\x1b[31m", "bold"))
    made.add_row("b\u202e\nc")
    text = "\n".join(printed(made, 40))
    assert "of \\x1b[2J" in text
    assert "a\\x1b[31m" in text
    assert "b\\u202e\nc" in text


@pytest.mark.parametrize("width", [40, 200])
def test_a_table_without_rows_is_its_head(width: int) -> None:
    assert "rollout" in " ".join(printed(DataTable(COLUMNS), width))
