"""The same recurrent layer in other libraries, side by side: checked against one reference, then timed."""
