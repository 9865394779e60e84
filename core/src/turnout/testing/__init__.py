"""For the tests of users and of plugin authors: fixtures, and the suites a plugin must pass."""
