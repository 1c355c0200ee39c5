"""The paper's equations again, in plain loops and float64, independent of the package under test."""
