"""The words: tables, partitions, instruments, messages. Pure; opens no file."""
