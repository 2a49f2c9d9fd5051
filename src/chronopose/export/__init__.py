"""Models written for other runtimes, each compared with eager on the same input."""
