"""Joints to training targets and network outputs back to joints, always in one class."""
