"""What is written onto a guest's disks stays there, and nowhere else: stamped blocks, through real sessions."""
