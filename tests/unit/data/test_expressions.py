"""Every layout of every set of expressions is written as people have it, and read back."""

from __future__ import annotations

import numpy as np
import pytest
from expression_worlds import ckplus, fer2013, paint, rafdb, write

from chronopose.data.expressions._base import MARGIN, ExpressionSet
from chronopose.data.expressions._find import list_faces, open_faces
from chronopose.data.faces import FaceSet
from chronopose.errors import FormatError, UsageError
from chronopose.io.expressions import EXPRESSIONS


def told(faces: ExpressionSet) -> list[tuple[str, str]]:
    """Expression and person of every picture."""
    numbers = faces.labels.tolist()
    return [(faces.classes[n], p) for n, p in zip(numbers, faces.persons.tolist(), strict=True)]


def greys(faces: ExpressionSet) -> list[int]:
    """Grey value of the middle of every picture."""
    pictures = [faces.picture(i) for i in range(len(faces))]
    return [int(p[p.shape[0] // 2, p.shape[1] // 2, 0]) for p in pictures]


# ---- CK+ -----------------------------------------------------------------------------------------


def test_ckplus_gives_the_last_three_frames_of_labelled_sequences(tmp_path):
    faces = open_faces(f"ckplus:{ckplus(tmp_path)}")
    assert told(faces) == [("surprise", "S010")] * 3 + [("happiness", "S011")] * 2
    assert greys(faces) == [20, 30, 40, 110, 120]
    assert faces.picture(0).shape == (30, 40, 3) and isinstance(faces, FaceSet)
    assert faces.classes == EXPRESSIONS[1:]


def test_ckplus_faces_are_cut_to_their_points_with_a_margin(tmp_path):
    root = ckplus(tmp_path)
    name = "Landmarks/S010/001/S010_001_00000004_landmarks.txt"
    write(root / name, "   1.0e+01   5.0e+00\n   2.0e+01   1.5e+01\n")
    # The box is 10 x 10 from (10, 5); a fifth of it on each side makes 14 x 14 from (8, 3).
    faces = open_faces(f"ckplus:{root}")
    assert [faces.picture(i).shape[:2] for i in (1, 2)] == [(30, 40), (14, 14)]
    assert MARGIN == 0.2


def test_ckplus_without_pictures_of_a_labelled_sequence_says_which(tmp_path):
    root = ckplus(tmp_path)
    for file in (root / "cohn-kanade-images/S011/003").iterdir():
        file.unlink()
    with pytest.raises(FormatError, match=r"S011.003 has the emotion happiness, but there is no"):
        open_faces(f"ckplus:{root}")


def test_ckplus_knows_no_ninth_emotion(tmp_path):
    write(ckplus(tmp_path) / "Emotion/S010/002/S010_002_00000002_emotion.txt", "8.0")
    with pytest.raises(FormatError, match=r"class is '8.0', and this set has 0 neutral"):
        open_faces(f"ckplus:{tmp_path}")


def test_ckplus48_takes_the_person_from_the_name(tmp_path):
    paint(tmp_path / "CK+48/Happy/S010_004_00000017.png", 1)
    paint(tmp_path / "CK+48/contempt/S138_008_00000007.png", 2)
    faces = open_faces(f"CK+48:{tmp_path}")
    assert told(faces) == [("contempt", "S138"), ("happiness", "S010")]
    assert told(open_faces(f"ckplus48:{tmp_path / 'CK+48'}")) == told(faces)
    paint(tmp_path / "CK+48/happy/17.png", 3)
    with pytest.raises(FormatError, match="must begin with the person"):
        open_faces(f"ckplus48:{tmp_path}")


# ---- folds ---------------------------------------------------------------------------------------


def test_folds_deal_persons_out_in_order_of_their_names(tmp_path):
    for n in range(12):
        paint(tmp_path / f"happy/S{n:03d}_001_00000001.png", n)
        paint(tmp_path / f"sadness/S{n:03d}_002_00000001.png", n)
    # Twelve persons in ten folds: the first two folds have a second one.
    first = open_faces(f"ckplus48:{tmp_path}", "test:1")
    assert sorted(set(first.persons)) == ["S000", "S010"] and len(first) == 4
    rest = open_faces(f"ckplus48:{tmp_path}", "train:1")
    assert len(rest) == 20 and not set(rest.persons) & set(first.persons)
    assert first.name == "ckplus48 test:1" and len(first.folds()) == 10
    assert first.fingerprint() != rest.fingerprint()
    with pytest.raises(UsageError, match=r"has 10 folds here; there is no test:11"):
        open_faces(f"ckplus48:{tmp_path}", "test:11")


def test_jaffe_leaves_one_person_out(tmp_path):
    for name in ("KA.AN1.39.tiff", "KA.NE2.27.tiff", "km.su3.14.TIFF"):
        paint(tmp_path / name, 5)
    write(tmp_path / "README", "about")
    faces = open_faces(f"jaffe:{tmp_path}")
    assert sorted(told(faces)) == [("anger", "KA"), ("neutral", "KA"), ("surprise", "KM")]
    assert faces.folds() == ["test:1", "test:2"]
    assert told(open_faces(f"jaffe:{tmp_path}", "test:2")) == [("surprise", "KM")]
    paint(tmp_path / "KA.XX1.40.tiff", 5)
    with pytest.raises(FormatError, match=r"KA.XX1.40.tiff is no name of JAFFE"):
        open_faces(f"jaffe:{tmp_path}")


# ---- sequences -----------------------------------------------------------------------------------


def test_mmi_takes_frames_around_the_apex_or_the_middle(tmp_path):
    for n in range(7):
        paint(tmp_path / f"3/12/img_{n:03d}.png", n)
        paint(tmp_path / f"4/1/img_{n:03d}.png", 100 + n)
    write(tmp_path / "mmi.csv", "expression_type;subject_number;sequence_number\r\nHappy;3;12\r\n")
    assert greys(open_faces(f"mmi:{tmp_path}")) == [2, 3, 4]
    table = "Expression,Subject,Sequence,Apex\rsad,3,12,5\rfear,4,1,0\r"
    write(tmp_path / "mmi.csv", table)
    faces = open_faces(f"mmi:{tmp_path}")
    assert greys(faces) == [4, 5, 6, 100, 101, 102]
    assert told(faces)[2:4] == [("sadness", "3"), ("fear", "4")]
    write(tmp_path / "mmi.csv", table.replace(",5", ",7"))
    with pytest.raises(FormatError, match=r"line 2: apex is '7', and the sequence has frames 0 to"):
        open_faces(f"mmi:{tmp_path}")


def test_oulu_casia_takes_peaks_of_visible_light_under_strong_lamps(tmp_path):
    for light in ("VL/Strong", "VL/Weak", "NI/Strong"):
        for n in range(5):
            paint(tmp_path / f"B_OriginalImg/{light}/P001/Anger/{n:03d}.jpeg", 10 * n)
    paint(tmp_path / "B_OriginalImg/VL/Strong/P002/surprise/000.jpeg", 90)
    faces = open_faces(f"oulu-casia:{tmp_path}")
    assert told(faces) == [("anger", "P001")] * 3 + [("surprise", "P002")]
    np.testing.assert_allclose(greys(faces), [20, 30, 40, 90], atol=2)
    assert told(open_faces(f"oulu_casia:{tmp_path / 'B_OriginalImg'}")) == told(faces)


# ---- RAF-DB --------------------------------------------------------------------------------------


def test_rafdb_reads_its_list(tmp_path):
    root = rafdb(tmp_path)
    assert told(open_faces(f"rafdb:{root}")) == [("happiness", ""), ("anger", "")]
    train = open_faces(f"rafdb:{root}", "train")
    assert told(train) == [("surprise", ""), ("neutral", "")] and train.split == "train"
    assert len(open_faces(f"rafdb:{root}", "all")) == 4


def test_rafdb_names_the_first_missing_picture(tmp_path):
    root = rafdb(tmp_path)
    (root / "Image/aligned/test_0002_aligned.jpg").unlink()
    with pytest.raises(FormatError, match=r"1 of 2 labelled pictures .*test_0002_aligned.jpg"):
        open_faces(f"rafdb:{root}")


def test_rafdb_in_folders_counts_in_another_order(tmp_path):
    for number in range(7):
        paint(tmp_path / f"a/train/{number}/x{number}.jpg", 0)
        paint(tmp_path / f"b/train/{number + 1}/x{number}.jpg", 0)
    first = [e for e, _ in told(open_faces(f"rafdb:{tmp_path / 'a'}", "train"))]
    other = [e for e, _ in told(open_faces(f"rafdb:{tmp_path / 'b'}", "train"))]
    assert first == ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"]
    assert other == ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]


def test_rafdb_in_folders_that_could_be_either_is_refused(tmp_path):
    paint(tmp_path / "train/3/x.jpg", 0)
    with pytest.raises(FormatError, match=r"either 0 to 6 or 1 to 7"):
        open_faces(f"rafdb:{tmp_path}", "train")


def test_rafdb_refuses_a_number_that_is_none(tmp_path):
    write(rafdb(tmp_path) / "EmoLabel/list_patition_label.txt", "test_0001.jpg 4\ntest_0002.jpg 8")
    with pytest.raises(FormatError, match=r"line 2: the class is '8', and this set has 1 surprise"):
        open_faces(f"rafdb:{tmp_path}")


# ---- AffectNet -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [int, str])
def test_affectnet_new_leaves_out_what_is_no_expression(tmp_path, kind):
    for number in range(11):
        paint(tmp_path / f"val_set/images/{number}.jpg", 0)
        (tmp_path / "val_set/annotations").mkdir(exist_ok=True)
        np.save(tmp_path / f"val_set/annotations/{number}_exp.npy", kind(number))
    eight, seven = open_faces(f"affectnet:{tmp_path}"), open_faces(f"affectnet7:{tmp_path}")
    found = {eight.face(i).source.stem: eight.classes[n] for i, n in enumerate(eight.labels)}
    assert found == {
        "0": "neutral", "1": "happiness", "2": "sadness", "3": "surprise", "4": "fear",
        "5": "disgust", "6": "anger", "7": "contempt",
    }  # fmt: skip
    assert len(seven) == 7 and "contempt" not in seven.classes


def test_affectnet_refuses_an_eleventh_number_and_a_pickle(tmp_path):
    paint(tmp_path / "val_set/images/1.jpg", 0)
    (tmp_path / "val_set/annotations").mkdir()
    np.save(tmp_path / "val_set/annotations/1_exp.npy", 11)
    with pytest.raises(FormatError, match=r"1_exp.npy: the class is '11'.* 10 no face"):
        open_faces(f"affectnet:{tmp_path}")
    pickled = np.array({"a": 1}, object)
    np.save(tmp_path / "val_set/annotations/1_exp.npy", pickled, allow_pickle=True)
    with pytest.raises(FormatError, match=r"Cannot read .*1_exp.npy"):
        open_faces(f"affectnet:{tmp_path}")


def test_affectnet_old_cuts_the_box(tmp_path):
    paint(tmp_path / "Manually_Annotated_Images/689/a.JPG", 7, (100, 60))
    head = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression"
    lines = [
        head + ",valence,arousal",
        "689/a.jpg,20,10,50,30,1;2,3,0.1,0.2",
        "689/b.jpg,0,0,9,9,,9,-2,-2",
    ]
    write(tmp_path / "validation.csv", "\r\n".join(lines))
    faces = open_faces(f"affectnet:{tmp_path}")
    assert told(faces) == [("surprise", "")]
    assert faces.picture(0).shape == (42, 70, 3)  # 30 + 2 x 6 and 50 + 2 x 10


def test_affectnet_table_in_circulation_saves_the_annotations(tmp_path):
    paint(tmp_path / "val_set/images/5.jpg", 0)
    paint(tmp_path / "train_set/images/6.jpg", 0)
    text = ",phase,img_path,label\n0,val,val_set/images/5.jpg,7\n1,train,6.jpg,0\n2,train,9.jpg,8\n"
    write(tmp_path / "affectnet.csv", text)
    assert told(open_faces(f"affectnet:{tmp_path}")) == [("contempt", "")]
    assert told(open_faces(f"affectnet:{tmp_path}", "train")) == [("neutral", "")]


# ---- FER2013 and FERPlus -------------------------------------------------------------------------


def test_fer2013_reads_its_pixels_by_usage(tmp_path):
    root = fer2013(tmp_path)
    faces = open_faces(f"fer2013:{root}")
    assert told(faces) == [("fear", "")] and greys(faces) == [2]
    assert faces.picture(0).shape == (48, 48, 3)
    assert told(open_faces(f"fer2013:{root}", "train")) == [("anger", "")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0,1 2 3,Training", r"line 5 has 3 pixels and must have 2304"),
        (f"7,{' '.join(['0'] * 2304)},Training", r"line 5: the class is '7'"),
        (f"0,{' '.join(['256'] * 2304)},Training", r"from 0 to 255"),
        (f"0,{' '.join(['0'] * 2304)},Testing", r"Usage is 'Testing'"),
    ],
)  # fmt: skip
def test_fer2013_says_which_line_is_damaged(tmp_path, line, message):
    root = fer2013(tmp_path)
    with open(root / "fer2013.csv", "a") as file:
        file.write(line + "\n")
    with pytest.raises(FormatError, match=message):
        open_faces(f"fer2013:{root}")


PLUS = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
VOTES = [
    "4,0,0,1,3,2,0,0,0,0",
    "0,5,5,0,0,0,0,0,0,0",
    "0,0,0,0,0,0,0,0,0,10",
    "0,0,0,0,0,0,0,6,4,0",
]


def test_ferplus_takes_the_most_votes_and_leaves_ties_out(tmp_path):
    usages = ("Training", "Training", "Training", "PrivateTest")
    root = fer2013(tmp_path, usages)
    names = ["fer0000000.png", "fer0000001.png", "", "fer0035887.png"]
    rows = [f"{u},{n},{v}" for u, n, v in zip(usages, names, VOTES, strict=True)]
    write(root / "fer2013new.csv", "\n".join([PLUS, *rows]) + "\n")
    assert told(open_faces(f"ferplus:{root}")) == [("contempt", "")]
    train = open_faces(f"ferplus:{root}", "train")
    assert told(train) == [("neutral", "")] and greys(train) == [0]
    write(root / "fer2013new.csv", "\n".join([PLUS, *rows[:3]]) + "\n")
    with pytest.raises(FormatError, match=r"one ends before line 5"):
        open_faces(f"ferplus:{root}")


def test_ferplus_reads_folders_with_a_table_that_has_no_header(tmp_path):
    rows = [f'f{n}.png,"(0, 0, 48, 48)",{v}' for n, v in enumerate(VOTES)]
    write(tmp_path / "FER2013Test/label.csv", "\n".join(rows))
    for n in range(4):
        paint(tmp_path / f"FER2013Test/f{n}.png", n)
    faces = open_faces(f"ferplus:{tmp_path}")
    assert told(faces) == [("neutral", ""), ("contempt", "")] and greys(faces) == [0, 3]


# ---- the other folders and tables ----------------------------------------------------------------


def test_sfew_reads_train_and_val(tmp_path):
    paint(tmp_path / "Train/Angry/a.png", 1)
    paint(tmp_path / "val/Happy/b.png", 2)
    assert told(open_faces(f"sfew:{tmp_path}")) == [("happiness", "")]
    assert told(open_faces(f"sfew:{tmp_path}", "all")) == [("anger", ""), ("happiness", "")]
    paint(tmp_path / "val/Bored/b.png", 2)
    with pytest.raises(FormatError, match=r"'Bored' is no expression that is known"):
        open_faces(f"sfew:{tmp_path}")


def test_portraits_read_any_letter_case_and_old_line_ends(tmp_path):
    text = "\ufeffImage,Expression,Person\rA.png,HAPPINESS,p1\rb.PNG,Sad,p2\r\rc.png,neutral,p1\r"
    write(tmp_path / "labels.csv", text)
    for name in ("images/a.png", "images/b.png", "c.png"):
        paint(tmp_path / name, 3)
    faces = open_faces(f"fer_portraits:{tmp_path}")
    assert told(faces) == [("happiness", "p1"), ("sadness", "p2"), ("neutral", "p1")]
    assert faces.classes == ("neutral", "happiness", "sadness")


def test_portraits_say_which_line_is_no_expression(tmp_path):
    write(tmp_path / "labels.csv", "image,expression,person\na.png,happy,p\nb.png,bored,p\n")
    with pytest.raises(FormatError, match=r"line 3: 'bored' is no expression"):
        open_faces(f"fer_portraits:{tmp_path}")


def test_portraits_of_unknown_persons_make_no_folds(tmp_path):
    write(tmp_path / "labels.csv", "image,expression\na.png,happy\n")
    paint(tmp_path / "a.png", 0)
    assert len(open_faces(f"fer_portraits:{tmp_path}")) == 1
    with pytest.raises(UsageError, match="Nobody knows who is on 1 of 1 pictures"):
        open_faces(f"fer_portraits:{tmp_path}", "test:1")


def test_folder_of_classes_reports_its_test_part(tmp_path):
    for half, word in (("train", "ANGER"), ("test", "Surprised")):
        paint(tmp_path / f"a/{half}/{word}/x.png", 0)
    faces = open_faces(f"folder:{tmp_path / 'a'}")
    # Numbers of classes must not depend on the part that is open.
    assert faces.classes == ("anger", "surprise") and faces.labels.tolist() == [1]
    paint(tmp_path / "b/fear/x.png", 0)
    assert open_faces(f"folder:{tmp_path / 'b'}").name == "folder all"
    paint(tmp_path / "c/0/x.png", 0)
    with pytest.raises(FormatError, match="count their classes in different orders"):
        open_faces(f"folder:{tmp_path / 'c'}")


# ---- what every set says -------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_faces())
def test_set_that_is_not_there_or_empty_says_who_gives_it_out(name, tmp_path):
    owner = list_faces()[name].OWNER
    for folder in (tmp_path / "gone", tmp_path):
        with pytest.raises(FormatError) as stop:
            open_faces(f"{name}:{folder}")
        assert owner in str(stop.value) and "://" not in str(stop.value)


def test_unknown_sets_and_splits_name_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'rafdb'"):
        open_faces(f"rafbd:{tmp_path}")
    with pytest.raises(UsageError, match="Did you mean 'test'"):
        open_faces(f"rafdb:{tmp_path}", "tset")
    with pytest.raises(UsageError, match="rafdb:DIR"):
        open_faces("rafdb")


def test_fingerprint_follows_labels_and_pictures(tmp_path):
    root = rafdb(tmp_path)
    before = open_faces(f"rafdb:{root}").fingerprint()
    assert open_faces(f"rafdb:{root}").fingerprint() == before
    listing = root / "EmoLabel/list_patition_label.txt"
    write(listing, listing.read_text().replace("test_0001.jpg 4", "test_0001.jpg 5"))
    assert open_faces(f"rafdb:{root}").fingerprint() != before
