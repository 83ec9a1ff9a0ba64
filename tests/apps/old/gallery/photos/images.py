"""Halves pictures in the portable pixmap format, which needs no library."""


class NotAnImage(Exception):
    pass


def parse(data):
    fields = bytes(data).split(None, 4)
    if len(fields) != 5 or fields[0] != b"P6":
        raise NotAnImage("no portable pixmap")
    width, height = int(fields[1]), int(fields[2])
    pixels = fields[4]
    if len(pixels) != width * height * 3:
        raise NotAnImage("%d bytes for %dx%d" % (len(pixels), width, height))
    return width, height, pixels


def halve(data):
    """Every pixel of the result is the mean of four."""
    width, height, pixels = parse(data)
    out = bytearray()
    for y in range(0, height - 1, 2):
        for x in range(0, width - 1, 2):
            for channel in range(3):
                at = [((y + dy) * width + x + dx) * 3 + channel for dy in (0, 1) for dx in (0, 1)]
                out.append(sum(pixels[i] for i in at) // 4)
    return b"P6 %d %d 255\n" % (width // 2, height // 2) + bytes(out)
