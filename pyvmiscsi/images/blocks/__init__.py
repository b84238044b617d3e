"""What a disk holds, as pieces of data and of zeros: cut, hashed, read ahead, and where a file has holes."""
