"""The starter page of docs/examples in a browser."""
