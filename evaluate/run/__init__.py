"""Makes records: an Experiment is trained, evaluated and written down."""
