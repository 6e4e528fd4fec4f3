"""What notebooks show: tables for people of the frames, explanations and definitions that the library returns."""
