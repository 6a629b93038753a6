"""A disk that forgets, as a power cut makes it, what was not fsynced: for run.py.

A run's calls (shim.cpp's log, and what each fsync found in its file) are replayed up to some call on
a tree of folders that knows, of each, the names now and the names at its last fsync. Three disks are
then made of it, since file systems differ in what they lose:
  late    names of a folder as at its last fsync, bytes of a file as at its last;
  early   all names, bytes of a file as at its last fsync, or none;
  zeros   the same, a file without an fsync being full of zeros.
From each, the run goes on and must end in the weights of the undisturbed one, and every checkpoint
whose save had ended, so that the program did other things, must still be one.
"""
import hashlib
import shutil
from pathlib import Path

DISKS = ("late", "early", "zeros")


class File:
    def __init__(self, synced=None):
        self.synced = synced  # a path with the bytes of its last fsync


class Folder:
    def __init__(self):
        self.names, self.synced = {}, {}


class Disk:
    """The tree below `root`."""

    def __init__(self, root):
        self.root, self.top = Path(root), Folder()

    def _find(self, path):
        """The folder that has `path`'s last part, and that part; (None, "") outside of the tree."""
        try:
            parts = Path(path).relative_to(self.root).parts
        except ValueError:
            return None, ""
        folder = self.top
        for part in parts[:-1]:
            folder = folder.names.get(part)
            if not isinstance(folder, Folder):
                return None, ""
        return (folder, parts[-1]) if parts else (None, "")

    def apply(self, call, path, to, kept):
        if call == "fsync" and Path(path) == self.root:
            self.top.synced = dict(self.top.names)
            return
        folder, name = self._find(path)
        if folder is None:
            return
        there = folder.names.get(name)
        if call == "create" and there is None:
            folder.names[name] = File()
        elif call == "mkdir" and there is None:
            folder.names[name] = Folder()
        elif call in ("unlink", "rmdir", "remove", "unlinkat"):
            if not (isinstance(there, Folder) and there.names):
                folder.names.pop(name, None)
        elif call == "rename" and there is not None:
            target, new_name = self._find(to)
            if target is not None:
                del folder.names[name]
                target.names[new_name] = there
        elif call == "fsync" and isinstance(there, File):
            there.synced = kept
        elif call == "fsync" and isinstance(there, Folder):
            there.synced = dict(there.names)

    def _leaves(self, kind, folder, prefix):
        for name, entry in sorted((folder.synced if kind == "late" else folder.names).items()):
            yield prefix + name, entry
            if isinstance(entry, Folder):
                yield from self._leaves(kind, entry, prefix + name + "/")

    def state(self, kind):
        """A text that is the same for the same disk."""
        names = [f"{name} {entry.synced if isinstance(entry, File) else ''}" for name, entry in self._leaves(kind, self.top, "")]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    def write(self, kind, to):
        to.mkdir(parents=True)
        for name, entry in self._leaves(kind, self.top, ""):
            path = to / name
            if isinstance(entry, Folder):
                path.mkdir()
            elif entry.synced:
                shutil.copy(entry.synced, path)
            else:
                path.write_bytes(bytes(1000) if kind == "zeros" else b"")


class Promises:
    """The checkpoints that the program goes on as if it had."""

    def __init__(self, run):
        self.folder = str(run / "checkpoints")
        self.named, self.kept = set(), set()

    def see(self, call, path, to):
        name = Path(path).name
        if not path.startswith(self.folder):
            self.kept |= self.named
        if call == "rename" and str(Path(path).parent) == self.folder:
            if name in self.named:  # it makes room: for those that are newer
                self.named.remove(name)
                self.kept = (self.kept | self.named) - {name}
            else:
                self.named.add(Path(to).name)


def cuts(driver, expected, run, steps, act, every):
    """(name of the call, disk after it, checkpoints promised) of all calls that change a disk."""
    log, store = driver.folder / "log", driver.folder / "store"
    log.unlink(missing_ok=True)
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir()
    disk = Disk(driver.folder / "cut")
    if run.exists():  # what was there before is on the disk
        for path in sorted(disk.root.rglob("*")):
            disk.apply("mkdir" if path.is_dir() else "create", path, "", None)
            if path.is_file():
                kept = store / f"before-{len(list(store.iterdir()))}"
                shutil.copy(path, kept)
                disk.apply("fsync", path, "", kept)
        for path in [disk.root, *(p for p in disk.root.rglob("*") if p.is_dir())]:
            disk.apply("fsync", path, "", None)
    promises = Promises(run)
    if run.exists():
        promises.named = {p.name for p in (run / "checkpoints").iterdir()}
    act(run, log=log, store=store)
    for number, line in enumerate(log.read_text().splitlines(), 1):
        call, path, to = line.split("\t")
        disk.apply(call, path, to, store / str(number))
        promises.see(call, path, to)
        if call not in ("write", "open", "close", "fchmod") and number % every == 0:
            yield f"{number} ({call})", disk, sorted(promises.kept)


def try_all(driver, expected, steps, more, every, check_run):
    """The whole run and the resumed one; the number of those that lost something."""
    lost = 0
    root = driver.folder / "cut"
    for title, end in (("a whole run", steps), ("a resumed run", more)):
        seen, run = set(), root / "new" / "run"
        if title == "a whole run":
            root.mkdir()
        for call, disk, must in cuts(driver, expected, run, end, lambda r, **k: driver.train(r, end, **k), every):
            for kind in DISKS:
                state = (disk.state(kind), *must)
                if state in seen:
                    continue
                seen.add(state)
                after = driver.folder / "after"
                shutil.rmtree(after, ignore_errors=True)
                disk.write(kind, after)
                found = after / "new" / "run"
                try:
                    for step in must:
                        manifest = found / "checkpoints" / step / "manifest.json"
                        assert manifest.exists() and manifest.stat().st_size, f"{step} is gone"
                    if not (found / "config.json").exists() or not (found / "config.json").stat().st_size:
                        assert not must, "the run is gone"
                        shutil.rmtree(found, ignore_errors=True)
                        found.parent.mkdir(exist_ok=True)
                    check_run(driver, found, end, expected[end], False)
                except Exception as error:
                    lost += 1
                    print(f"LOST {title}, power cut after call {call}, disk {kind}: {error}")
        print(f"{title}: {len(seen)} disks after power cuts; {lost} lost", flush=True)
    shutil.rmtree(root)
    return lost
