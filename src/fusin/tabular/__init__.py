"""Tables in: schemas, their reader, cells and rows."""
