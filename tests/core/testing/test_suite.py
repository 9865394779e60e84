"""The base of the shipped suites: nothing shipped is left out without a reason."""

from __future__ import annotations

import pytest

from turnout.testing.artifact_store import ArtifactStoreSuite

pytest_plugins = ("pytester",)


def test_a_shipped_test_cannot_be_overridden():
    with pytest.raises(TypeError) as caught:

        class Mine(ArtifactStoreSuite):
            def test_a_key_is_taken_once(self):
                pass

    assert str(caught.value) == (
        "test_a_shipped_test_cannot_be_overridden.<locals>.Mine.test_a_key_is_taken_once overrides a test of "
        "ArtifactStoreSuite, and is not expected to fail. Remove it, or mark it: "
        '@pytest.mark.xfail(reason="why it cannot hold", strict=True)'
    )


@pytest.mark.parametrize(
    "mark",
    [
        pytest.mark.xfail(strict=True),
        pytest.mark.xfail(reason="no"),
        pytest.mark.xfail(reason=" ", strict=True),
        pytest.mark.skip(reason="no"),
    ],
)
def test_a_mark_that_gives_no_reason_or_may_pass_is_not_enough(mark):
    def test_a_key_is_taken_once(self):
        pass

    with pytest.raises(TypeError, match="not expected to fail"):
        type("Mine", (ArtifactStoreSuite,), {"test_a_key_is_taken_once": mark(test_a_key_is_taken_once)})


def test_nor_by_none_or_by_a_class_mixed_in():
    class Mixin:
        def test_a_key_is_taken_once(self):
            pass

    with pytest.raises(TypeError, match="not expected to fail"):
        type("Mine", (Mixin, ArtifactStoreSuite), {})
    with pytest.raises(TypeError, match="not expected to fail"):
        type("Mine", (ArtifactStoreSuite,), {"test_a_key_is_taken_once": None})


def test_an_expected_failure_with_a_reason_may_override():
    class Mine(ArtifactStoreSuite):
        @pytest.mark.xfail(reason="there is no such call", strict=True)
        def test_a_key_is_taken_once(self):
            raise AssertionError

        def test_of_ones_own(self):
            pass

    class More(Mine):
        def test_of_ones_own(self):
            pass

    assert More.test_a_key_is_taken_once is Mine.test_a_key_is_taken_once


def test_xfails_are_checked():
    with pytest.raises(TypeError, match=r"xfails names 'test_nothing\[a\]', which is no shipped test"):
        type("Mine", (ArtifactStoreSuite,), {"xfails": {"test_nothing[a]": "why"}})
    with pytest.raises(TypeError, match="gives no reason"):
        type("Mine", (ArtifactStoreSuite,), {"xfails": {"test_odd_names_hold[-]": ""}})


def test_what_is_expected_to_fail_must_fail(pytester):
    pytester.makepyfile(
        """
        import pytest
        from turnout.stores.local import LocalStore
        from turnout.testing.artifact_store import ArtifactStoreSuite

        class Forgetful(LocalStore):
            def exists(self, key):
                return False

        class TestIt(ArtifactStoreSuite):
            xfails = {
                "test_what_is_created_is_read": "it forgets",
                "test_a_key_is_taken_once": "this one holds",
                "test_odd_names_hold[-]": "it forgets",
            }

            @pytest.fixture
            def store(self, tmp_path):
                return Forgetful.from_url(str(tmp_path / "store"))
        """
    )
    result = pytester.runpytest_inprocess("-q", "-k", "created_is_read or taken_once or odd_names_hold")
    outcomes = result.parseoutcomes()
    assert outcomes["xfailed"] == 2
    assert outcomes["failed"] == 10  # one that holds after all, and the other odd names
    result.stdout.fnmatch_lines(["*XPASS(strict)*this one holds*"])
