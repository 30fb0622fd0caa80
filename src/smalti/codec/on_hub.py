"""A codec by itself on the Hugging Face Hub."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from smalti.codec.spec import CodecSpec
from smalti.component import Float32Component
from smalti.hub import UPLOAD_OPTIONS, download, is_asked_for, upload

_CARD = "README.md"
_FILES = ("config.json", "digests.json", "diffusion_pytorch_model.safetensors")
_ASKED = (*UPLOAD_OPTIONS, "license", "repo_id")


class OnHub(Float32Component):
    """Tables that are had from the Hub by `owner/name`, and put there with a card."""

    spec: CodecSpec

    @classmethod
    def downloaded(cls, path: Path, options: dict[str, Any]) -> Path | None:
        """Where the files are after they were downloaded, if a path is an `owner/name`; its options are taken out.

        Raises:
            SmaltiError: there is none of that name, or the Hub cannot be reached.
        """
        if not is_asked_for(path):
            return None
        asked = {key: options.pop(key) for key in ("revision", "token", "cache_dir") if key in options}
        within = f"{options['subfolder']}/" if options.get("subfolder") else ""
        return download(str(path), "codec", allow_patterns=[within + name for name in _FILES], **asked)

    def save_pretrained(
        self, save_directory: str | Path, *args: Any, push_to_hub: bool = False, **options: Any
    ) -> None:
        """Write configuration and weights, and their digests beside them; options are those of diffusers.

        With `push_to_hub` they are then published as `repo_id`, as by `push_to_hub`.

        Raises:
            SmaltiError: the Hub does not take it.
        """
        asked = {each: options.pop(each) for each in _ASKED if push_to_hub and each in options}
        super().save_pretrained(save_directory, *args, **options)
        if push_to_hub:
            self.push_to_hub(asked.pop("repo_id", Path(save_directory).name), **asked)

    def push_to_hub(self, repo_id: str, *, license: str | None = None, **options: Any) -> str:
        """Publish the codec as `owner/name`, with a card of how it is loaded, and return the address.

        Options are those of diffusers: `private`, `token`, `commit_message` and `create_pr`.

        Raises:
            SmaltiError: the Hub does not take it.
        """
        known = ModelCardData(library_name="smalti", license=license)
        card = ModelCard(
            f"---\n{known.to_yaml()}\n---\n\n# {repo_id.partition('/')[2]}\n\n"
            f"A classical codec of pictures, {self.spec}: {self.spec.bits_per_pixel:g} bits a pixel. With "
            "[smalti](https://doi.org/10.3390/a16110501) installed:\n\n```python\nfrom smalti import Codec\n\n"
            f'codec = Codec.from_pretrained("{repo_id}")\n```\n'
        )
        with TemporaryDirectory(prefix="smalti-") as folder:
            self.save_pretrained(folder)
            card.save(Path(folder) / _CARD)
            return upload(Path(folder), repo_id, (*_FILES, _CARD), **options)
