"""A room with a two-wheeled robot and a ball in it, as MuJoCo knows them, and how the room's looks vary.

Lengths in metres, angles in radians, x forward, y to the left, z up. Wheels, casters and floor touch with
friction; the ball is moved along its path and rolls. Who runs this in time, and who looks through the robot's
camera, is known elsewhere.
"""

from collections.abc import Callable
from math import atan, cos, degrees, radians, sin, tan
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

STEP_S = 0.002
ROOM = 3.0
"""Half of the room's side."""
BALL = 0.12
"""The ball's radius."""
WHEEL, TRACK = 0.06, 0.30
"""Radius of a wheel, and how far the two are apart."""
EYE = (0.10, 0.25)
"""The camera: before the axle, and above the floor."""
SIZE_WH = (320, 240)
VIEW = radians(66)
"""The camera's horizontal field of view."""
FOCAL_PX = SIZE_WH[0] / 2 / tan(VIEW / 2)
FASTEST = 15.0
"""Of a wheel, in rad/s: 0.9 m/s."""

_FLOORS = ("checker", "flat", "boards", "gradient", "stone")
_THINGS = 14
"""Boxes, cylinders and balls of other colours that stand about."""


def mjcf() -> str:
    """The room as MuJoCo's XML."""
    vertical = 2 * atan(tan(VIEW / 2) * SIZE_WH[1] / SIZE_WH[0])
    kinds = ("box", "cylinder", "box", "sphere", "cylinder", "box", "ellipsoid")
    things = "".join(
        f'<geom name="thing{i}" class="seen" type="{kinds[i % len(kinds)]}" size=".15 .15 .15" pos="0 0 -3"/>'
        for i in range(_THINGS)
    )
    walls = "".join(
        f'<geom name="wall{i}" type="box" size=".05 {ROOM + 0.1} .5" material="wall" '
        f'pos="{ROOM * cos(turn):.3f} {ROOM * sin(turn):.3f} .5" euler="0 0 {turn:.4f}"/>'
        for i, turn in enumerate(np.arange(4) * np.pi / 2)
    )
    wheels = "".join(
        f'<body name="{side}" pos="0 {y} {WHEEL}"><joint name="{side}" axis="0 1 0" damping=".002"/>'
        f'<geom type="cylinder" size="{WHEEL} .015" euler="1.5708 0 0" mass=".15" friction="1.2 .01 .001" '
        f'rgba=".1 .1 .1 1"/><geom class="seen" type="box" size=".05 .017 .008" rgba=".8 .8 .8 1"/></body>'
        for side, y in (("left", TRACK / 2), ("right", -TRACK / 2))
    )
    motors = "".join(
        f'<velocity name="{side}" joint="{side}" kv=".25" ctrlrange="-{FASTEST} {FASTEST}" '
        'forcerange="-1.2 1.2"/>'
        for side in ("left", "right")
    )
    floors = "".join(f'<material name="{name}" texture="{name}" texrepeat="6 6"/>' for name in _FLOORS)
    return f"""
<mujoco model="follow the ball">
  <compiler angle="radian"/>
  <option timestep="{STEP_S}" integrator="implicitfast"/>
  <visual>
    <global offwidth="960" offheight="720"/><quality shadowsize="512" offsamples="0"/>
    <headlight ambient=".25 .25 .25" diffuse=".1 .1 .1" specular="0 0 0"/><map znear=".004" shadowclip="1"/>
  </visual>
  <default><default class="seen"><geom contype="0" conaffinity="0" mass="0"/></default></default>
  <asset>
    <texture name="checker" type="2d" builtin="checker" width="128" height="128" rgb1=".55 .52 .48"
      rgb2=".42 .4 .38"/>
    <texture name="flat" type="2d" builtin="flat" width="64" height="64" rgb1=".6 .58 .55" mark="random"
      markrgb=".45 .45 .45" random=".05"/>
    <texture name="boards" type="2d" builtin="flat" width="128" height="128" rgb1=".55 .4 .26" mark="edge"
      markrgb=".3 .2 .12"/>
    <texture name="gradient" type="2d" builtin="gradient" width="128" height="128" rgb1=".35 .45 .4"
      rgb2=".6 .6 .5"/>
    <texture name="stone" type="2d" builtin="checker" width="128" height="128" rgb1=".3 .33 .38"
      rgb2=".36 .38 .42" mark="random" markrgb=".7 .7 .7" random=".02"/>
    {floors}
    <texture name="ball" type="cube" builtin="flat" width="64" height="64" rgb1="1 1 1" mark="edge"
      markrgb=".25 .2 .2"/>
    <material name="ball" texture="ball" rgba="1 .42 .06 1" specular=".4" shininess=".6"/>
    <material name="wall" rgba=".78 .77 .72 1"/>
    <texture name="sky" type="skybox" builtin="gradient" width="64" height="64" rgb1=".8 .85 .9"
      rgb2=".6 .65 .7"/>
  </asset>
  <worldbody>
    <light name="lamp" pos="0 0 3.5" dir="0 0 -1" diffuse=".75 .75 .75" cutoff="75" castshadow="true"/>
    <light name="window" pos="3 3 3" dir="-1 -1 -1" diffuse=".25 .25 .3" castshadow="false"/>
    <camera name="above" pos="0 0 7.2" fovy="48"/>
    <geom name="floor" type="plane" size="{ROOM} {ROOM} .1" material="checker" friction="1 .01 .001"/>
    {walls}{things}
    <body name="ball" mocap="true" pos="1 0 {BALL}">
      <geom name="ball" type="sphere" size="{BALL}" material="ball"/>
    </body>
    <body name="robot">
      <freejoint name="robot"/>
      <geom type="cylinder" size=".13 .04" pos="0 0 .1" mass="2" rgba=".15 .3 .55 1"/>
      <geom class="seen" type="cylinder" size=".1 .025" pos="0 0 .16" rgba=".85 .87 .9 1"/>
      <geom class="seen" type="box" size=".02 .03 .05" pos="{EYE[0] - 0.03} 0 .21" rgba=".2 .2 .2 1"/>
      <geom class="seen" type="box" size=".02 .045 .03" pos="{EYE[0] - 0.025} 0 {EYE[1]}" rgba=".9 .75 .1 1"/>
      <geom type="sphere" size=".02" pos="-.1 0 .02" mass=".1" friction=".02 .001 .001" priority="1"
        rgba=".3 .3 .3 1"/>
      <geom type="sphere" size=".02" pos=".1 0 .022" mass=".1" friction=".02 .001 .001" priority="1"
        rgba=".3 .3 .3 1"/>
      <camera name="eye" pos="{EYE[0]} 0 {EYE[1]}" xyaxes="0 -1 0 0 0 1" fovy="{degrees(vertical):.4f}"/>
      {wheels}
    </body>
  </worldbody>
  <actuator>{motors}</actuator>
</mujoco>"""


def place(data: Any, x: float, y: float, turn: float, *, pitch: float = 0.0, lift: float = 0.0) -> None:
    """Put the robot there, at rest, looking along `turn`."""
    data.qpos[:] = 0
    data.qvel[:] = 0
    data.ctrl[:] = 0
    turned, tilted, both = np.zeros(4), np.zeros(4), np.zeros(4)
    mujoco.mju_axisAngle2Quat(turned, np.array([0.0, 0, 1]), turn)
    mujoco.mju_axisAngle2Quat(tilted, np.array([0.0, 1, 0]), pitch)
    mujoco.mju_mulQuat(both, turned, tilted)
    data.qpos[:3] = x, y, lift
    data.qpos[3:7] = both


def truth(data: Any) -> tuple[float, float]:
    """Where the ball is from the camera: radians to the left of its axis, metres along the floor."""
    eye, axes = data.camera("eye").xpos, data.camera("eye").xmat.reshape(3, 3)
    away = data.mocap_pos[0] - eye
    ahead, left = -axes[:, 2], -axes[:, 0]
    return float(np.arctan2(away @ left, away @ ahead)), float(np.hypot(away[0], away[1]))


def ball_path(seed: int, *, fastest_m_s: float = 0.5, reach: float = 1.5) -> Callable[[float], Vector]:
    """A smooth way through the room: (x, y) at a time in seconds, never faster or farther out than said."""
    rng = np.random.default_rng(seed)
    rates = np.array([[1.0, 2.3, 3.7], [1.3, 2.0, 3.1]]) * rng.uniform(0.9, 1.1, (2, 3))
    parts = np.array([0.62, 0.25, 0.13]) * reach
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    times = np.linspace(0, 200, 20001)[:, None, None]
    speed = np.linalg.norm((parts * rates * np.cos(rates * times + phases)).sum(2), axis=1).max()
    pace = fastest_m_s / float(speed)
    return lambda time_s: np.asarray((parts * np.sin(rates * (time_s * pace) + phases)).sum(1))


def roll(data: Any, to_xy: Vector) -> None:
    """Move the ball there over the floor, turning as a ball that rolls."""
    way = to_xy - data.mocap_pos[0, :2]
    length = float(np.hypot(*way))
    if length > 1e-9:
        turn, turned = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, np.array([-way[1], way[0], 0]) / length, length / BALL)
        mujoco.mju_mulQuat(turned, turn, data.mocap_quat[0])
        data.mocap_quat[0] = turned
    data.mocap_pos[0] = (*to_xy, BALL)


def furnish(model: Any, rng: np.random.Generator, *, beyond: float = 2.0, variety: float = 1.0) -> None:
    """Choose floor, walls, light and the things that stand about, none nearer to the middle than `beyond`.

    With `variety` 1, each choice is as wide as in training.
    """
    floor = model.geom("floor").id
    names = [model.material(name).id for name in _FLOORS]
    model.geom_matid[floor] = rng.choice(names)
    model.mat_rgba[model.geom_matid[floor], :3] = rng.uniform(1 - 0.45 * variety, 1, 3)
    model.mat_texrepeat[model.geom_matid[floor]] = rng.uniform(3, 10)
    model.mat_rgba[model.material("wall").id, :3] = rng.uniform(0.8 - 0.5 * variety, 0.95, 3)
    model.mat_rgba[model.material("ball").id, :3] = np.clip(
        np.array([0.98, 0.40, 0.06]) + variety * rng.uniform(-1, 1, 3) * (0.08, 0.10, 0.06), 0, 1
    )
    model.light_pos[0] = (*rng.uniform(-1.8, 1.8, 2) * variety, rng.uniform(2.8, 4))
    model.light_diffuse[0] = rng.uniform(0.75 - 0.35 * variety, 0.75 + 0.15 * variety) * rng.uniform(
        0.88, 1, 3
    )
    model.light_diffuse[1] = rng.uniform(0, 0.35, 3)
    model.vis.headlight.ambient[:] = rng.uniform(0.25, 0.5)
    for number in range(_THINGS):
        _stand(model, model.geom(f"thing{number}").id, rng, beyond)


def _stand(model: Any, geom: int, rng: np.random.Generator, beyond: float) -> None:
    if rng.random() < 0.25:
        model.geom_pos[geom] = 0, 0, -3
        return
    size = rng.uniform(0.06, 0.30, 3)
    kind = model.geom_type[geom]
    high = size[2]
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        high = size[0] = rng.uniform(0.08, 0.2)
    elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        high = size[1]
    while True:
        spot = rng.uniform(-(ROOM - 0.35), ROOM - 0.35, 2)
        if np.abs(spot).max() > beyond:
            break
    model.geom_pos[geom] = (*spot, high)
    model.geom_size[geom] = size
    turn = rng.uniform(0, np.pi)
    model.geom_quat[geom] = cos(turn / 2), 0, 0, sin(turn / 2)
    model.geom_rbound[geom] = float(np.linalg.norm(size))
    model.geom_rgba[geom] = (*_colour(rng, is_ball=kind == mujoco.mjtGeom.mjGEOM_SPHERE), 1)


def _colour(rng: np.random.Generator, *, is_ball: bool) -> Vector:
    """Any; orange, too, but not for another ball."""
    if not is_ball and rng.random() < 0.25:
        return np.clip(np.array([0.95, 0.42, 0.08]) + rng.uniform(-0.1, 0.1, 3), 0, 1)
    colour = rng.uniform(0.05, 0.95, 3)
    if is_ball:
        colour[0] = rng.uniform(0, 0.6) * max(colour[1], colour[2])
    return colour
