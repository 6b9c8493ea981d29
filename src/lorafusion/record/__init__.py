"""Record: one image with everything needed to make it again.

It travels inside the PNG, as one JSON chunk beside the text that other programs read.
"""

from lorafusion.record.fields import FORMAT, Record, Used
from lorafusion.record.png import check_writable, read_record, save

__all__ = ["FORMAT", "Record", "Used", "check_writable", "read_record", "save"]
