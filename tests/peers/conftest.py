"""Modules that need another library are imported by the tests that find it installed."""

collect_ignore = ["autograd_peer.py", "jax_peer.py", "torch_peer.py"]
