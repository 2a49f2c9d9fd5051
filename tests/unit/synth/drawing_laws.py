"""What holds for every renderer; each law takes a function that opens one of a size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from panels import SIZE, camera, even_light, on_picture, panel, placed

from chronopose.errors import ShapeError
from chronopose.synth.scene import THING, Environment, Layers, Renderer, View

Open = Callable[[tuple[int, int]], Renderer]


def shown(
    opener: Open, *actors, light: Environment | None = None, flow: bool = False, samples: int = 1
) -> Layers:
    renderer = opener(SIZE)
    view = View(camera(), light or even_light(), actors)
    return renderer.draw(view, flow=flow, supersample=samples)


def a_triangle_at_a_known_depth_covers_the_centres_inside_it(opener: Open) -> None:
    # Pixels (1.5, 1.5), (6.4, 1.5), (1.5, 6.4): centres x, y >= 2 with x + y < 7.9.
    corners = [(x * 0.4, 4.0, -y * 0.4) for x, y in ((1.5, 6.4), (6.4, 1.5), (1.5, 1.5))]
    layers = shown(opener, placed(panel(corners)))
    rows, columns = np.nonzero(layers.person)
    inside = {(x, y) for x in range(2, 6) for y in range(2, 8 - x)}
    assert set(zip(columns.tolist(), rows.tolist(), strict=True)) == inside
    np.testing.assert_allclose(layers.depth[layers.person == 1], 4, rtol=1e-6)
    assert np.isinf(layers.depth[layers.person == 0]).all()


def a_quad_from_half_before_to_half_behind_covers_ten_columns(opener: Open) -> None:
    layers = shown(opener, placed(panel(on_picture(-0.5, -0.5, 9.5, 4.5, 3))))
    expected = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    expected[:5, :10] = 1
    assert (layers.person == expected).all()


def depth_of_a_floor_through_the_camera_is_right_in_perspective(opener: Open) -> None:
    floor = panel([(-50, -2, -1), (50, -2, -1), (50, 40, -1), (-50, 40, -1)])
    layers = shown(opener, placed(floor))
    # Row v sees the floor at 10 / v metres; row 0 is the horizon.
    assert not layers.person[0].any()
    rows = np.arange(1, SIZE[1])
    np.testing.assert_allclose(layers.depth[1:, 3], 10 / rows, rtol=1e-5)


def the_nearer_actor_hides_the_farther_whatever_the_order(opener: Open) -> None:
    near = placed(panel(on_picture(2.5, 2.5, 8.5, 8.5, 2), "near"))
    far = placed(panel(on_picture(-0.5, -0.5, 12.5, 12.5, 5), "far"), thing=True)
    layers = shown(opener, near, far)
    assert layers.person[5, 5] == 1 and layers.person[0, 0] == THING
    assert shown(opener, far, near).person[5, 5] == 2
    np.testing.assert_allclose(layers.depth[[5, 0], [5, 0]], [2, 5], rtol=1e-6)


def thin_cloth_has_holes_and_two_sides_and_solid_things_one(opener: Open) -> None:
    picture = np.full((4, 8, 4), 255, np.uint8)
    picture[:, :4, 3] = 0
    there = on_picture(-0.5, -0.5, 15.5, 7.5, 3)
    cut = shown(opener, placed(panel(there, "cut", picture))).person
    assert not cut[:8, :7].any() and cut[:8, 9:16].all()
    back = there[::-1]
    assert shown(opener, placed(panel(back, "thin"))).person[:8, :16].all()
    assert not shown(opener, placed(panel(back, "solid", thin=False))).person.any()
    assert shown(opener, placed(panel(there, "front", thin=False))).person[:8, :16].all()


def flow_is_the_way_of_each_point_on_the_picture(opener: Open) -> None:
    quad = panel(on_picture(-0.5, -0.5, 10.5, 10.5, 4))
    # 10 px * 0.4 m / 4 m = 1 px to the right, 0.8 m down: 2 px down.
    aside = shown(opener, placed(quad, following=(0.4, 0, -0.8)), flow=True)
    np.testing.assert_allclose(aside.flow[aside.person == 1], [[1, 2]] * 121, atol=1e-4)
    assert not aside.flow[aside.person == 0].any()
    # From 4 m to 2 m every place doubles: the flow is the place itself.
    closer = shown(opener, placed(quad, following=(0, -2, 0)), flow=True)
    np.testing.assert_allclose(closer.flow[7, 5], [5, 7], atol=1e-4)
    assert not shown(opener, placed(quad, following=(0, -2, 0))).flow.any()


def a_turning_camera_moves_what_stands_still(opener: Open) -> None:
    quad = placed(panel(on_picture(3.5, -0.5, 10.5, 10.5, 4)))
    view = View(camera(), even_light(), [quad], following=camera(turn=0.05))
    layers = opener(SIZE).draw(view, flow=True)
    # Pixel (5, 0) is atan(0.5) right of the axis; 0.05 rad less after the turn.
    after = 10 * np.tan(np.arctan(0.5) - 0.05)
    np.testing.assert_allclose(layers.flow[0, 5], [after - 5, 0], atol=1e-4)
    np.testing.assert_allclose(layers.flow[0, 0], [-10 * np.tan(0.05), 0], atol=1e-4)


def the_next_frame_warped_by_flow_is_this_frame(opener: Open) -> None:
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 255, (8, 8, 4), np.uint8)
    texture = rough.repeat(8, 0).repeat(8, 1)
    texture[..., 3] = 255
    quad = panel(on_picture(2, 2, 52, 40, 4), "patch", texture)
    step = (0.9, -0.4, -0.3)
    still = np.zeros((48, 64, 3), np.float32)
    renderer, light = opener((64, 48)), even_light(0.5)
    views = [
        View(camera((64, 48)), light, [actor], backdrop=still)
        for actor in (placed(quad, following=step), placed(quad, step))
    ]
    now = renderer.draw(views[0], flow=True, supersample=2)
    later = renderer.draw(views[1], supersample=2).linear
    row, column = np.nonzero(now.person)
    there = np.stack([column, row], -1) + now.flow[row, column]
    kept = (there >= 1).all(1) & (there < (62, 46)).all(1)
    row, column, there = row[kept], column[kept], there[kept]
    corner = np.floor(there).astype(int)
    part = there - corner
    warped = sum(
        later[corner[:, 1] + y, corner[:, 0] + x]
        * np.abs((1 - x - part[:, :1]) * (1 - y - part[:, 1:]))
        for x in (0, 1) for y in (0, 1)
    )  # fmt: skip
    frame = now.linear[row, column]
    assert np.abs(warped - frame).mean() < 0.02
    assert np.abs(later[row, column] - frame).mean() > 0.06


def even_light_shows_a_surface_in_its_own_colour(opener: Open) -> None:
    quad = placed(panel(on_picture(-0.5, -0.5, 9.5, 9.5, 3), colour=(1.0, 0.5, 0.0)))
    seen = shown(opener, quad).linear[4, 4]
    # Light 0.25 everywhere; sRGB 0.5 is 0.2140 in linear light.
    np.testing.assert_allclose(seen, [0.25, 0.25 * 0.2140, 0], atol=2e-4)
    body = replace(quad.body, key="tinted", surfaces=(
        replace(quad.body.surfaces[0], tint=(0.5, 1.0, 1.0)),
    ))  # fmt: skip
    seen = shown(opener, replace(quad, body=body)).linear[4, 4]
    np.testing.assert_allclose(seen, [0.25 * 0.2140, 0.25 * 0.2140, 0], atol=2e-4)


def a_texture_is_read_upright(opener: Open) -> None:
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[..., 3] = 255
    picture[:2, :2, 0], picture[2:, 2:, 2] = 255, 255
    quad = placed(panel(on_picture(-0.5, -0.5, 11.5, 11.5, 3), "four", picture))
    seen = shown(opener, quad).linear
    np.testing.assert_allclose(seen[3, 3], [0.25, 0, 0], atol=2e-3)
    np.testing.assert_allclose(seen[8, 8], [0, 0, 0.25], atol=2e-3)
    assert seen[3, 8].max() < 2e-3 and seen[8, 3].max() < 2e-3


def a_lone_sun_lights_the_side_that_faces_it(opener: Open) -> None:
    quad = placed(panel(on_picture(-0.5, -0.5, 9.5, 9.5, 3)))
    before = even_light(0.0, 0.5, (0, -1, 1))
    behind = even_light(0.0, 0.5, (0, 1, 1))
    # The panel looks to -y: cos 45 degrees of 0.5.
    np.testing.assert_allclose(
        shown(opener, quad, light=before).linear[4, 4], np.full(3, 0.5 * 0.7071), atol=1e-3
    )
    np.testing.assert_allclose(shown(opener, quad, light=behind).linear[4, 4], 0, atol=1e-4)
    lid = panel([(0, 3, -1.0), (2, 3, -1.0), (2, 5, -1.0), (0, 5, -1.0)])
    seen = shown(opener, placed(lid), light=even_light(0.0, 0.5, (0, 0, 1)))
    np.testing.assert_allclose(seen.linear[seen.person == 1], 0.5, atol=1e-3)


def a_body_between_the_sun_and_another_throws_a_shadow_on_it(opener: Open) -> None:
    wall = placed(panel(on_picture(-0.5, -0.5, 15.5, 5.5, 4), "wall"))
    # Above the picture, one metre towards the sun from the wall; 0 to 2.6 m, 6.5 px, wide.
    cover = placed(panel([(-1, 3, 0), (2.6, 3, 0), (2.6, 3, 2.5), (-1, 3, 2.5)], "cover"))
    light = even_light(0.1, 0.5, (0, -1, 1))
    seen = shown(opener, wall, cover, light=light)
    row = seen.linear[2, :, 0]
    assert (seen.person[2, :15] == 1).all()
    np.testing.assert_allclose(row[1:5], 0.1, atol=2e-3)
    np.testing.assert_allclose(row[9:14], 0.1 + 0.5 * 0.7071, atol=2e-3)


def a_roof_takes_the_sun_from_the_ground_below_it_and_nowhere_else(opener: Open) -> None:
    size, eye = (64, 48), camera((64, 48), height=1.5, focal=40.0)
    roof = panel([(0, 5, 1), (2, 5, 1), (2, 7, 1), (0, 7, 1)], "roof")
    light = even_light(0.25, 0.75, (0, 0, 1))
    renderer = opener(size)
    layers = renderer.draw(View(eye, light, [placed(roof)]))
    bare = renderer.backdrop(eye, light)
    left = layers.linear[..., 0] / bare[..., 0]
    # Ground x, y is at 40 x / y, 60 / y. Below the middle of the roof a quarter (the sky's share)
    # is left at most; 4 m away everything.
    column, row = round(40 * 1 / 6), round(60 / 6)
    assert layers.person[row, column] == 0
    assert 0.1 < left[row, column] < 0.26
    assert np.abs(left[row, 50:] - 1).max() < 1e-3
    assert left[layers.person == 0].max() < 1 + 1e-3


def samples_smooth_edges_and_leave_labels_alone(opener: Open) -> None:
    quad = placed(panel(on_picture(-0.5, -0.5, 4.0, 4.5, 3)), following=(0.1, 0, 0))
    plain = shown(opener, quad, flow=True)
    smooth = shown(opener, quad, flow=True, samples=2)
    black = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    view = View(camera(), even_light(), [quad], backdrop=black)
    seen = opener(SIZE).draw(view, supersample=2).linear
    # The edge runs through the middle of column 4: half of it is covered.
    np.testing.assert_allclose(seen[2, [3, 4, 5], 0], [0.25, 0.125, 0], atol=1e-3)
    assert (plain.person == smooth.person).all()
    assert (plain.depth == smooth.depth).all() and (plain.flow == smooth.flow).all()


def the_backdrop_is_the_environment_and_drawn_once(opener: Open) -> None:
    rng = np.random.default_rng(0)
    light = even_light(radiance=rng.random((16, 32, 3)).astype(np.float32) * 0.5)
    renderer = opener(SIZE)
    first = renderer.backdrop(camera(), light)
    assert renderer.backdrop(camera(), light) is first
    other = renderer.backdrop(camera(turn=0.3), light)
    assert np.abs(other - first).mean() > 0.01
    assert (renderer.draw(View(camera(), light, [])).linear == first).all()
    # Pixel (0, 0) looks along +y: between rows 7 and 8, columns 15 and 16.
    np.testing.assert_allclose(first[0, 0], light.radiance[7:9, 15:17].mean((0, 1)), atol=2e-3)
    own = np.full((SIZE[1], SIZE[0], 3), 0.3, np.float32)
    empty = renderer.draw(View(camera(), light, [], backdrop=own))
    assert (empty.linear == own).all() and not empty.person.any()


def the_same_key_with_other_arrays_is_drawn_anew(opener: Open) -> None:
    renderer = opener(SIZE)
    for right in (5.5, 9.5):
        body = panel(on_picture(-0.5, -0.5, right, 3.5, 3), "same")
        layers = renderer.draw(View(camera(), even_light(), [placed(body)]))
        assert layers.person.sum() == 4 * (right + 0.5)


def what_cannot_be_drawn_is_refused(opener: Open) -> None:
    renderer, view = opener(SIZE), View(camera(), even_light(), [])
    with pytest.raises(ShapeError, match="32×24"):
        renderer.draw(replace(view, camera=camera((64, 48))))
    with pytest.raises(ShapeError, match="backdrop"):
        renderer.draw(replace(view, backdrop=np.zeros((4, 4, 3), np.float32)))
    with pytest.raises(ShapeError, match="200"):
        renderer.draw(replace(view, actors=[placed(panel(on_picture(0, 0, 1, 1, 1)))] * 201))
    with pytest.raises(ShapeError, match="supersample"):
        renderer.draw(view, supersample=0)


def strong_light_is_bent_below_one(opener: Open) -> None:
    quad = placed(panel(on_picture(-0.5, -0.5, 9.5, 9.5, 3)))
    seen = shown(opener, quad, light=even_light(1.0)).linear
    # 1 - exp(1 - 2) / 2, on the panel and behind it.
    np.testing.assert_allclose(seen[[4, 20], [4, 20]], 1 - np.exp(-1) / 2, atol=1e-3)
    assert seen.dtype == np.float32 and seen.max() <= 1


LAWS = [
    a_triangle_at_a_known_depth_covers_the_centres_inside_it,
    a_quad_from_half_before_to_half_behind_covers_ten_columns,
    depth_of_a_floor_through_the_camera_is_right_in_perspective,
    the_nearer_actor_hides_the_farther_whatever_the_order,
    thin_cloth_has_holes_and_two_sides_and_solid_things_one,
    flow_is_the_way_of_each_point_on_the_picture,
    a_turning_camera_moves_what_stands_still,
    the_next_frame_warped_by_flow_is_this_frame,
    even_light_shows_a_surface_in_its_own_colour,
    a_texture_is_read_upright,
    a_lone_sun_lights_the_side_that_faces_it,
    a_body_between_the_sun_and_another_throws_a_shadow_on_it,
    a_roof_takes_the_sun_from_the_ground_below_it_and_nowhere_else,
    samples_smooth_edges_and_leave_labels_alone,
    the_backdrop_is_the_environment_and_drawn_once,
    the_same_key_with_other_arrays_is_drawn_anew,
    what_cannot_be_drawn_is_refused,
    strong_light_is_bent_below_one,
]
