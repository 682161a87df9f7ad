"""The claims of the field, each tested by a small experiment: designs, measures, and a verdict by a rule set before."""
