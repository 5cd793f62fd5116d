"""From counts to images: projectors, statistical reconstruction, attenuation and simulation."""
