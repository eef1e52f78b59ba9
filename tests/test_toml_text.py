"""What is written as TOML is read back by tomllib as the same values."""

import math
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from theory.toml_text import tables, value_text

words = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
values = st.recursive(numbers | words, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
keys = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
nested = st.recursive(
    st.dictionaries(keys, values, max_size=3),
    lambda inner: st.dictionaries(keys, values | inner, max_size=3),
    max_leaves=5,
)


@given(values)
@example('\x00\x1f\x7f\r\n\t"\\ü\U0001f600')
@example(1e22)
@example(-0.0)
@example(math.inf)
def test_every_value_comes_back_with_its_type(value):
    found = tomllib.loads(f"value = {value_text(value)}")["value"]
    assert repr(found) == repr(value)


@given(nested)
def test_every_table_comes_back(table):
    assert tomllib.loads("\n".join(tables("experiment", table)))["experiment"] == table
    assert tomllib.loads("\n".join(tables("", table))) == table


def test_nan_comes_back_and_what_is_no_value_is_refused():
    assert math.isnan(tomllib.loads(f"value = {value_text(math.nan)}")["value"])
    for value in (None, object(), {}):
        with pytest.raises(TypeError):
            value_text(value)
