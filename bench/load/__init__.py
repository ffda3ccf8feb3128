"""The load test: a working day of people and partners, as arrivals that wait for nobody. Run by `make load`."""
