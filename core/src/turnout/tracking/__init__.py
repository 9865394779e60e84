"""What steps log, gathered for the record and sent to the stack's tracker."""
