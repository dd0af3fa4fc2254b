"""Tests over clusters of several machines, which are network and mount namespaces of this one."""
