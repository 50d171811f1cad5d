"""What `import ablate` offers: a module for each thing, imported when it is first used."""
