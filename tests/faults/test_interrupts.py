"""A sweep may be interrupted at any moment: eight of them, of which `benchmarks/interrupts.py` tries hundreds.
"""
