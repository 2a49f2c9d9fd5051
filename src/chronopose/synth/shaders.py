"""GLSL of the OpenGL renderer: one program a job, version 3.30.

Matrices are rows: a point becomes ``dot(row, vec4(point, 1))``. Pictures are kept with their first
row first, so no result has to be flipped: clip space looks down the picture's y axis.
"""

from __future__ import annotations

_BONES = 21


def define(source: str, constant: str) -> str:
    """The source with ``#define constant`` after its version line."""
    version, _, rest = source.lstrip().partition("\n")
    return f"{version}\n#define {constant}\n{rest}"


SKINNING = f"""
#version 330
uniform vec4 bones[{3 * _BONES}];
in vec3 in_place;
in uvec4 in_bones;
in vec4 in_weights;
void blend(vec4 bones[{3 * _BONES}], out vec4 x, out vec4 y, out vec4 z) {{
    ivec4 first = ivec4(in_bones) * 3;
    x = in_weights.x * bones[first.x] + in_weights.y * bones[first.y]
      + in_weights.z * bones[first.z] + in_weights.w * bones[first.w];
    y = in_weights.x * bones[first.x + 1] + in_weights.y * bones[first.y + 1]
      + in_weights.z * bones[first.z + 1] + in_weights.w * bones[first.w + 1];
    z = in_weights.x * bones[first.x + 2] + in_weights.y * bones[first.y + 2]
      + in_weights.z * bones[first.z + 2] + in_weights.w * bones[first.w + 2];
}}
"""

LIGHT = """
const float KNEE = 0.5;
vec3 tone(vec3 x) {
    x = max(x, vec3(0.0));
    return mix(x, 1.0 - (1.0 - KNEE) * exp(1.0 - x / KNEE), greaterThanEqual(x, vec3(KNEE)));
}
uniform vec3 harmonics[9];
vec3 sky_light(vec3 n) {
    return max(vec3(0.0), 0.282095 * harmonics[0]
        + 0.488603 * (n.y * harmonics[1] + n.z * harmonics[2] + n.x * harmonics[3])
        + 1.092548 * (n.x * n.y * harmonics[4] + n.y * n.z * harmonics[5])
        + 0.315392 * (3.0 * n.z * n.z - 1.0) * harmonics[6]
        + 1.092548 * n.x * n.z * harmonics[7] + 0.546274 * (n.x * n.x - n.y * n.y) * harmonics[8]);
}
"""

SHADOW = """
uniform sampler2DShadow shadow_map;
uniform vec4 shadow_rows[3];
uniform float shadow_texel;
float sun_seen(vec3 place) {
    vec4 p = vec4(place, 1.0);
    vec3 at = vec3(dot(shadow_rows[0], p), dot(shadow_rows[1], p), dot(shadow_rows[2], p));
    if (any(lessThan(at, vec3(0.0))) || any(greaterThan(at.xy, vec2(1.0)))) return 1.0;
    at.z = min(at.z, 1.0);
    float sum = 0.0;
    for (int y = -1; y <= 1; ++y)
        for (int x = -1; x <= 1; ++x)
            sum += texture(shadow_map, vec3(at.xy + vec2(x, y) * shadow_texel, at.z));
    return sum / 9.0;
}
"""

BODY_VERTEX = (
    SKINNING
    + """
uniform vec4 next_bones[63];
uniform vec4 camera[4];
uniform vec4 next_camera[4];
in vec3 in_normal;
in vec3 in_colour;
in vec2 in_uv;
out vec3 world;
out vec3 normal;
out vec3 colour;
out vec2 uv;
#ifdef FLOW
out vec3 next_clip;
#endif
void main() {
    vec4 x, y, z, rest = vec4(in_place, 1.0);
    blend(bones, x, y, z);
    world = vec3(dot(x, rest), dot(y, rest), dot(z, rest));
    normal = vec3(dot(x.xyz, in_normal), dot(y.xyz, in_normal), dot(z.xyz, in_normal));
    colour = in_colour;
    uv = in_uv;
    vec4 p = vec4(world, 1.0);
    gl_Position = vec4(dot(camera[0], p), dot(camera[1], p), dot(camera[2], p), dot(camera[3], p));
#ifdef FLOW
    blend(next_bones, x, y, z);
    p = vec4(dot(x, rest), dot(y, rest), dot(z, rest), 1.0);
    next_clip = vec3(dot(next_camera[0], p), dot(next_camera[1], p), dot(next_camera[3], p));
#endif
}
"""
)

BODY_FRAGMENT = (
    "#version 330\n"
    + LIGHT
    + SHADOW
    + """
uniform sampler2D picture;
uniform float textured;
uniform float thin;
uniform vec3 tint;
uniform vec3 sun_direction;
uniform vec3 sun_colour;
uniform float shadow_bias;
uniform float exposure;
uniform float id;
uniform vec2 size;
in vec3 world;
in vec3 normal;
in vec3 colour;
in vec2 uv;
#ifdef FLOW
in vec3 next_clip;
#endif
layout(location = 0) out vec4 light;
layout(location = 1) out vec4 label;
void main() {
    vec4 paint = vec4(colour, 1.0);
    if (textured > 0.5) paint = texture(picture, uv);
    if (thin > 0.5 && paint.a < 0.5) discard;
    vec3 n = normalize(normal);
    if (!gl_FrontFacing) n = -n;
    vec3 fall = sky_light(n);
    float facing = dot(n, sun_direction);
    if (facing > 0.0 && sun_colour != vec3(0.0))
        fall += sun_colour * (facing * sun_seen(world + n * shadow_bias));
    light = vec4(tone(exposure * paint.rgb * tint * fall), 1.0);
    label = vec4(id, 1.0 / gl_FragCoord.w, 0.0, 0.0);
#ifdef FLOW
    vec2 next = (next_clip.xy / max(next_clip.z, 1e-4) * 0.5 + 0.5) * size;
    label.zw = next - gl_FragCoord.xy;
#endif
}
"""
)

CASTER_VERTEX = (
    SKINNING
    + """
uniform vec4 shadow_rows[3];
in vec2 in_uv;
out vec2 uv;
void main() {
    vec4 x, y, z, rest = vec4(in_place, 1.0);
    blend(bones, x, y, z);
    vec4 p = vec4(dot(x, rest), dot(y, rest), dot(z, rest), 1.0);
    uv = in_uv;
    vec3 at = vec3(dot(shadow_rows[0], p), dot(shadow_rows[1], p), dot(shadow_rows[2], p));
    gl_Position = vec4(at * 2.0 - 1.0, 1.0);
}
"""
)

CASTER_FRAGMENT = """
#version 330
uniform sampler2D picture;
uniform float textured;
uniform float thin;
in vec2 uv;
void main() {
    if (thin * textured > 0.5 && texture(picture, uv).a < 0.5) discard;
}
"""

GROUND_VERTEX = """
#version 330
uniform vec4 camera[4];
uniform vec2 corners[4];
out vec2 ground;
void main() {
    ground = corners[gl_VertexID];
    vec4 p = vec4(ground, 0.0, 1.0);
    gl_Position = vec4(dot(camera[0], p), dot(camera[1], p), dot(camera[2], p), dot(camera[3], p));
}
"""

GROUND_FRAGMENT = (
    "#version 330\n"
    + SHADOW
    + """
uniform vec4 spheres[16];
uniform int count;
uniform float sunny;
in vec2 ground;
out vec4 left;
void main() {
    float sky = 1.0;
    for (int i = 0; i < count; ++i) {
        vec4 ball = spheres[i];
        vec3 to = ball.xyz - vec3(ground, 0.0);
        float square = max(dot(to, to), ball.w * ball.w);
        sky *= 1.0 - clamp(ball.z * ball.w * ball.w / (square * sqrt(square)), 0.0, 1.0);
    }
    left = vec4(vec3(sky), sunny > 0.5 ? sun_seen(vec3(ground, 0.0)) : 1.0);
}
"""
)

SCREEN_VERTEX = """
#version 330
void main() {
    gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0);
}
"""

RESOLVE_FRAGMENT = """
#version 330
uniform sampler2D light;
uniform sampler2D shade;
uniform sampler2D backdrop;
uniform vec3 sky_share;
uniform vec3 sun_share;
out vec4 seen;
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
#if SAMPLES == 1
    vec4 sum = texelFetch(light, at, 0);
#else
    vec4 sum = vec4(0.0);
    for (int y = 0; y < SAMPLES; ++y)
        for (int x = 0; x < SAMPLES; ++x)
            sum += texelFetch(light, at * SAMPLES + ivec2(x, y), 0);
    sum /= float(SAMPLES * SAMPLES);
#endif
    vec4 left = texelFetch(shade, at, 0);
    vec3 ground = texelFetch(backdrop, at, 0).rgb * (sky_share * left.rgb + sun_share * left.a);
    seen = vec4(sum.rgb + (1.0 - sum.a) * ground, 1.0);
}
"""

PANORAMA_FRAGMENT = (
    "#version 330\n"
    + LIGHT
    + """
const float PI = 3.14159265358979;
uniform sampler2D panorama;
uniform vec3 ray_rows[3];
uniform float exposure;
out vec4 seen;
void main() {
    vec3 at = vec3(gl_FragCoord.xy - 0.5, 1.0);
    vec3 ray = normalize(vec3(dot(ray_rows[0], at), dot(ray_rows[1], at), dot(ray_rows[2], at)));
    vec2 place = vec2(atan(ray.x, ray.y) / (2.0 * PI) + 0.5, acos(clamp(ray.z, -1.0, 1.0)) / PI);
    seen = vec4(tone(exposure * textureLod(panorama, place, 0.0).rgb), 1.0);
}
"""
)
