"""Where an image comes from: a file, a pipe or a web server, with a checksum given or published."""
