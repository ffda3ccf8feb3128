"""What Turnup knows and decides: values and pure rules over them, without I/O."""
