"""``python -m weaknas``."""

from weaknas.cli import main

if __name__ == "__main__":
    main()
