from tests.cli.place import Place


def test_good_specs(place: Place) -> None:
    ran = place.process("validate")
    assert (ran.code, ran.out, ran.err) == (0, "2 files, 0 errors, 0 warnings\n", "")


def test_every_error_is_on_stderr_with_its_place(place: Place) -> None:
    place.write("backup.d/wrong.yaml", "kind: Backup\nspec: {schedulr: '@daily', targets: []}\n")
    ran = place.process("validate")
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("backup.d/wrong.yaml:") for line in lines)
    assert any("did you mean" in line and "schedule" in line for line in lines)
    assert ran.out.endswith("0 warnings\n")


def test_a_warning_does_not_fail(place: Place) -> None:
    place.write(
        "backup.d/shop.yaml", (place.root / "backup.d/shop.yaml").read_text().replace(", offsite]", "]")
    )
    ran = place.run("validate")
    assert ran.code == 0
    assert ran.err.count(": warning: ") == 2
    assert ran.out == "2 files, 0 errors, 2 warnings\n"


def test_several_paths_are_one_fleet(place: Place) -> None:
    assert place.run("validate", "backup.d/shop.yaml").code == 1
    ran = place.run("validate", "backup.d/shop.yaml", "backup.d/destinations.yaml")
    assert (ran.code, ran.out) == (0, "2 files, 0 errors, 0 warnings\n")


def test_a_path_that_is_not_there(place: Place) -> None:
    ran = place.run("validate", "nowhere")
    assert ran.code == 1
    assert "nowhere" in ran.err
    assert "Traceback" not in ran.err


def test_json(place: Place) -> None:
    place.write("backup.d/wrong.yaml", "kind: Backup\n")
    ran = place.run("validate", "--output", "json")
    assert ran.code == 1
    assert ran.json["errors"] == len(ran.json["problems"]) > 0
    assert ran.json["problems"][0]["file"] == "backup.d/wrong.yaml"
    assert ran.err == ""
