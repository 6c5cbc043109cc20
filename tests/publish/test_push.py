"""``sb3-breakout push``: the contents of the folder, and its upload to a fake hub on this machine."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sb3_breakout.agents import SHIPPED, read_agent
from sb3_breakout.cli import main
from sb3_breakout.publish.repository import upload
from tests.trained_runs import make_run

REPO = "somebody/breakout"
GAME = "BreakoutNoFrameskip-v4"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small agent, with the evaluation of the shipped one."""
    folder = tmp_path_factory.mktemp("push")
    agent = make_run(folder, "ddqn_per")
    (agent.parent / "evaluation.json").write_bytes((SHIPPED / "ddqn_per" / f"{GAME}_1" / "evaluation.json").read_bytes())
    words = ["push", str(agent), "--repo", REPO, "--output", str(folder / "repository"), "--no-upload"]
    said = CliRunner().invoke(main, words, catch_exceptions=False).output.splitlines()
    assert [line.split()[0] for line in said] == ["Copying", "Drawing", "Playing", "Writing", "Wrote"]
    return folder / "repository"


def test_card_has_scores_as_text_and_as_metadata(repository: Path) -> None:
    report = json.loads((repository / "evaluation.json").read_text())
    _, metadata, text = (repository / "README.md").read_text().split("---\n", 2)
    (model,) = yaml.safe_load(metadata)["model-index"]
    metrics = {metric["name"]: metric["value"] for result in model["results"] for metric in result["metrics"]}
    assert model["name"] == "ddqn_per" and set(metrics) == {"mean_reward (v4)", "mean_reward (sticky)"}
    mean = report["v4"]["mean"]
    assert metrics["mean_reward (v4)"].startswith(f"{mean:.2f} +/- ")
    assert f"| v4 | {mean:.1f} | {report['v4']['interval'][0]:.1f} to " in text
    assert "env_wrapper:" in text and "-orga somebody -name breakout" in text
    for picture in ("curve.png", "replay.mp4"):
        assert picture in text and (repository / picture).stat().st_size > 1000


def test_the_zoo_downloads_it(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_sb3 import EnvironmentName
    from rl_zoo3 import load_from_hub

    def local_file(repo_id: str, name: str) -> str:
        if not (repository / name).is_file():
            raise load_from_hub.HTTPError(name)
        assert repo_id == REPO
        return str(repository / name)

    monkeypatch.setattr(load_from_hub, "load_from_hub", local_file)
    load_from_hub.download_from_hub("ddqn_per", EnvironmentName(GAME), 0, str(tmp_path), *REPO.split("/"))
    run = tmp_path / "ddqn_per" / f"{GAME}_1"
    found = read_agent(run / f"{GAME}.zip")
    assert (found.algo, found.game.env_id, found.game.n_stack) == ("ddqn_per", GAME, 8)
    assert (run / "0.monitor.csv").is_file()


class Hub(BaseHTTPRequestHandler):
    """The part of the Hub's API that an upload of small files needs."""

    received: dict[str, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer: dict[str, object] = {"url": f"http://{self.headers['Host']}/{REPO}", "errors": [], "warnings": []}
        if "/preupload/" in self.path:
            files = [file["path"] for file in json.loads(body)["files"]]
            answer["files"] = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    type(self).received[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            answer |= {"commitUrl": f"{answer['url']}/commit/1", "commitOid": "1" * 40, "success": True}
        self._answer(answer)

    def do_GET(self) -> None:
        self._answer({"id": REPO, "sha": "0" * 40, "siblings": []})

    def _answer(self, answer: dict[str, object]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Do not log."""


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.received = {}
    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_hub_receives_every_file(repository: Path, hub: str) -> None:
    assert upload(repository, REPO, endpoint=hub, token="hf_nobody") == f"{hub}/{REPO}/commit/1"
    assert Hub.received == {path.name: path.read_bytes() for path in repository.iterdir()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trained", "--repo", "breakout"], "must be ORGANISATION/NAME, received breakout"),
        (["nobody.zip", "--repo", REPO], "There is no agent nobody.zip"),
    ],
)
def test_what_cannot_be_pushed_is_said(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["push", *words])
    assert message in capsys.readouterr().err


def test_what_was_not_evaluated_is_not_pushed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["push", str(make_run(tmp_path, "ddqn_per")), "--repo", REPO, "--output", str(tmp_path / "out")])
    assert "evaluation.json: run `sb3-breakout ship` first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_its_own_folder_is_replaced_and_that_of_the_user_is_not(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command can be repeated, for example after a failed upload, but a folder given by the user is not replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sb3_breakout.publish.repository.record_one", lambda _, path, **__: path.touch())
    agent = make_run(tmp_path, "ddqn_per")
    (agent.parent / "evaluation.json").write_bytes((repository / "evaluation.json").read_bytes())
    words = ["push", str(agent), "--repo", REPO, "--no-upload"]
    for _ in range(2):
        assert CliRunner().invoke(main, words).exit_code == 0
    assert (tmp_path / "hub" / "breakout" / "README.md").is_file()
    refused = CliRunner().invoke(main, [*words, "--output", str(tmp_path / "hub" / "breakout")])
    assert refused.exit_code == 1 and "is there already and will not be overwritten" in refused.output


def test_a_hub_that_is_not_there_is_said(repository: Path) -> None:
    with pytest.raises(OSError, match=r"was not uploaded to http://127\.0\.0\.1:9/somebody/breakout"):
        upload(repository, REPO, endpoint="http://127.0.0.1:9", token="hf_nobody")
