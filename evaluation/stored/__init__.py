"""The tables that an evaluation leaves behind, and the pieces that it goes on from."""
