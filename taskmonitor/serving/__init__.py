"""How the doors are carried: the web server's processes, threads and streams."""
