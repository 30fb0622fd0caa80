"""Which files of a folder or an archive are the pictures that are meant, and their labels (docs/photos.md).

All follows from the names, from what files begin with where a name does not tell, and from small files beside pictures.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import chain

from smalti.data.archives import MOST_BYTES, TAR_SUFFIXES, Archive, Members
from smalti.data.bands import BANDS_SUFFIX
from smalti.data.kinds import HEAD, begins_as_picture, has_picture_suffix, is_raw, is_sidecar, why_not
from smalti.data.labelling import MOST_LOOSE, labels_of_folders, labels_of_sidecars, labels_of_tables
from smalti.data.listing import Aside, File, Listing, Place
from smalti.data.names import Names, parts_of
from smalti.files import fingerprint_of

TRAIN = ("train", "training")
SPLITS = frozenset([*TRAIN, "val", "valid", "validation", "dev", "test", "testing", "eval"])
PICTURES = frozenset(["image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "rgb", "jpegimages"])
COMPANIONS = frozenset(
    [
        "mask",
        "masks",
        "segmentation",
        "segmentations",
        "seg",
        "segm",
        "segmentationclass",
        "segmentationobject",
        "superpixels",
        "label",
        "labels",
        "annotation",
        "annotations",
        "gt",
        "groundtruth",
        "depth",
        "depths",
        "disparity",
        "normal",
        "normals",
        "flow",
        "edge",
        "edges",
        "canny",
        "sketch",
        "sketches",
        "pose",
        "poses",
        "heatmap",
        "heatmaps",
        "conditioning",
        "conditioning_image",
        "cond",
        "control",
        "hint",
        "alpha",
        "matte",
        "trimap",
        "thumb",
        "thumbs",
        "thumbnail",
        "thumbnails",
        "preview",
        "previews",
    ]
)
"""Names of what lies beside pictures and is none of them."""
_HIDDEN = (".", "__MACOSX", "@eaDir")  # what names of files and folders begin with that nobody means
_JUNK = frozenset(["thumbs.db", "desktop.ini"])
_CONTAINERS = (*TAR_SUFFIXES, ".zip", ".parquet", ".mdb")


def listed(
    archive: Archive, *, made_here: Callable[[str], bool] = lambda folder: False, bands: bool = False
) -> Listing:
    """The pictures of an archive; there may be none.

    Args:
        archive: what holds them.
        made_here: whether a folder of the archive is what smalti itself wrote, of which no picture is taken.
        bands: take arrays of numpy for pictures.
    """
    aside = Aside()
    files, others = _pictures(archive, aside, made_here, bands)
    files = _without_companions(_below_folders(_without_companion_folders(files, aside), aside), aside)
    given = labels_of_tables(archive, files, others, aside) or labels_of_sidecars(archive, files, others, aside)
    labels, classes = given or labels_of_folders(files)
    numbers = array("Q", (file.number for file in files))
    told = (" ".join(map(str, each)) or "None" for each in labels or ())
    return Listing(
        names=Names(archive.names[number] for number in numbers),
        read=Members(archive, numbers),
        mark=fingerprint_of(chain((archive.mark(number) for number in numbers), told)),
        labels=labels,
        classes=classes,
        aside=aside,
        bytes=sum(archive.sizes[number] for number in numbers),
    )


def _pictures(
    archive: Archive, aside: Aside, made_here: Callable[[str], bool], bands: bool
) -> tuple[list[File], dict[Place, int]]:
    """Pictures in the order of the archive, and the small files beside them by their paths."""
    pictures, others = [], {}
    places: dict[Place, Place] = {}

    @cache
    def ours(folder: tuple[str, ...]) -> bool:
        return bool(folder) and (made_here("/".join(folder)) or ours(folder[:-1]))

    def called_picture(name: str) -> bool:
        return has_picture_suffix(name) or (bands and name.lower().endswith(BANDS_SUFFIX))

    for number, name in enumerate(archive.names):
        parts = parts_of(name)
        if any(part.startswith(_HIDDEN) for part in parts) or parts[-1].lower() in _JUNK:
            continue
        part = archive.part(number)
        place = part, parts[:-1]
        file = File(number, parts, places.setdefault(place, place))  # one for all that lie there
        if ours(parts[:-1]):
            if called_picture(name):
                aside.add("pictures in folders that smalti wrote", name)
        elif called_picture(name):
            pictures.append(file)
        elif is_sidecar(name) and archive.sizes[number] > MOST_BYTES:
            aside.add("files of labels that are too large", name)
        elif is_sidecar(name):
            others[part, parts] = number
        elif name.lower().endswith(_CONTAINERS):
            continue  # whoever looked here for pictures says what becomes of these
        elif begins_as_picture(head := archive.read(number, HEAD)) and not is_raw(name):
            pictures.append(file)
        else:
            aside.add(why_not(name, head), name)
    return pictures, others


def _without_companion_folders(files: list[File], aside: Aside) -> list[File]:
    """Without what lies in `masks/` and the like where there is an `images/` beside it."""
    beside: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for file in files:
        for depth, part in enumerate(file.parts[:-1]):
            beside[file.parts[:depth]].add(part.lower())
    kept = []
    for file in files:
        for depth, part in enumerate(file.parts[:-1]):
            if part.lower() in COMPANIONS and beside[file.parts[:depth]] & PICTURES:
                aside.add(f"pictures in {part}/, beside the photos", file.name)
                break
        else:
            kept.append(file)
    return kept


def _below_folders(files: list[File], aside: Aside) -> list[File]:
    """Without folders that all files lie in, and without those of splits, of which `train` is taken.

    A tenth of the files may lie beside these folders.
    """
    while inside := [file for file in files if len(file.parts) > 1]:
        loose = len(files) - len(inside)
        if loose > MOST_LOOSE * len(files):
            break
        tops = {file.parts[0] for file in inside}
        splits = {top for top in tops if top.lower() in SPLITS}
        if len(tops) > 1 and splits != tops:
            break
        train = {top for top in splits if top.lower() in TRAIN} if len(tops) > 1 else set()
        kept = []
        for file in files:
            if len(file.parts) == 1:
                if train:
                    aside.add("pictures beside the folders of splits", file.name)
                else:
                    kept.append(file)
            elif train and file.parts[0] not in train:
                aside.add(f"pictures in {file.parts[0]}/, another split", file.name)
            else:
                kept.append(replace(file, parts=file.parts[1:]))
        files = kept
    return files


def _key(file: File) -> tuple[Place, str, str]:
    """Folder, name up to the first dot, and what follows that: the sample and the field of webdataset."""
    name, _, field = file.parts[-1].partition(".")
    return file.place, name, field.lower()


def _without_companions(files: list[File], aside: Aside) -> list[File]:
    """Without masks, depth maps and the like that have a picture beside them."""
    samples: dict[tuple[Place, str], list[str]] = defaultdict(list)
    fields: Counter[str] = Counter()
    for file in files:
        folder, name, field = _key(file)
        samples[folder, name].append(field)
        fields[field] += 1
    plain = {key for key, found in samples.items() if any("." not in field for field in found)}
    stems = {(file.place, file.stem) for file in files}
    kept = []
    for file in files:
        folder, name, field = _key(file)
        word = field.rpartition(".")[0]
        # A word that says what it is; or a field that half of all samples have, beside a picture that has but a suffix.
        others = {other.rpartition(".")[0] for other in samples[folder, name]} - COMPANIONS
        common = fields[field] >= 2 and 2 * fields[field] >= len(samples)
        if (word in COMPANIONS and others) or ("." in field and (folder, name) in plain and common):
            aside.add(f"pictures called .{field}, beside others", file.name)
            continue
        before, mark, last = _split_last(file.stem)
        meant = [before, *(f"{before}{mark}{word}" for word in PICTURES)]
        if mark and last.lower() in COMPANIONS and any((file.place, stem) in stems for stem in meant):
            aside.add(f"pictures called {mark}{last}, beside others", file.name)
            continue
        kept.append(file)
    return kept


def _split_last(stem: str) -> tuple[str, str, str]:
    """A name before and after its last dash or underscore."""
    mark = max("_-", key=stem.rfind)
    before, found, last = stem.rpartition(mark)
    return before, found, last
