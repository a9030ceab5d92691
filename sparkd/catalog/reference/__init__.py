"""What is generated from the catalogue's types: the JSON Schema, tables in docs/, and clients' configurations."""
