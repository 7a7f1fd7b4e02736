"""Containers of docker and podman, by their commands: services of a Compose project, and single images.

What runs is read from the engine's own `inspect`, which docker and podman answer alike.
"""
