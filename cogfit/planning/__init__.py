"""What a log can show: verdicts on curves made from known laws."""
