# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin of mypy (pyproject.toml): what the published types of Blender do not say.

What the extension adds to Blender's own classes has its type, and what Blender's types call None
but never is where an extension runs is not None.
"""

from mypy.checker import TypeChecker
from mypy.nodes import ARG_STAR, Argument, MypyFile, TypeInfo, Var
from mypy.plugin import (
    AttributeContext,
    ClassDefContext,
    FunctionSigContext,
    MethodSigContext,
    Plugin,
)
from mypy.plugins.common import add_attribute_to_class, add_method_to_class
from mypy.types import (
    AnyType,
    FunctionLike,
    get_proper_type,
    Instance,
    NoneType,
    Type,
    TypeOfAny,
    UnionType,
)  # fmt: skip

EXTENSION = "thunder."
ADDED = {
    "bpy.types.Scene.thunder": "scene.properties.settings.ThunderScene",
    "bpy.types.Object.thunder": "scene.properties.settings.ThunderObject",
    "bpy.types.Scene.thunder_check": "scene.review.checking.ThunderCheck",
    "bpy.types.Scene.thunder_keep": "scene.takes.keep.ThunderKeep",
    "bpy.types.Scene.thunder_mix": "scene.takes.mix.ThunderMix",
    "bpy.types.Action.thunder_shape": "scene.takes.shape.applying.ThunderShape",
}
# of the same: one that Blender's collections hold, and a plain one
ADDED_COLLECTIONS = {
    "bpy.types.Scene.thunder_transcripts": "scene.takes.transcript.ThunderTranscript"
}
ADDED_STRINGS = {"bpy.types.WindowManager.thunder_part"}
COLLECTION = "thunder.scene.host.prop.Collection"

# None only before Blender has read its first file, in its internals, or while nothing is drawn
_CONTEXT = (
    "blend_data", "collection", "preferences", "scene", "tool_settings", "view_layer",
    "window_manager",
)  # fmt: skip
_DRAWN = ("AddonPreferences", "Header", "Menu", "Operator", "Panel", "UIList")
NEVER_NONE = {
    *(f"bpy.types.Context.{name}" for name in _CONTEXT),
    *(f"bpy.types.{name}.layout" for name in _DRAWN),
    "bpy.types.bpy_struct.id_data",
    "bpy.types.Context.selected_objects",
    "bpy.types.Context.visible_objects",
    "bpy.types.Context.workspace",  # of a window
    "bpy.types.FCurve.driver",  # of one of a data-block's drivers
    "bpy.types.GreasePencilFrame.drawing",
    "bpy.types.Image.colorspace_settings",
    "bpy.types.KeyConfigurations.user",
    "bpy.types.Material.grease_pencil",
    "bpy.types.RenderSettings.ffmpeg",
    "bpy.types.ViewLayer.depsgraph",
}
# data-blocks that hold what the extension adds, others than scenes
OWNERS = {"ThunderShape": "Action"}
# of the kind that another attribute tells, which no checker follows
BY_KIND = {
    "bpy.types.AreaSpaces.active",
    "bpy.types.ColorManagedInputColorspaceSettings.name",  # of those that there are
    "bpy.types.Constraint.invert_x",
    "bpy.types.Constraint.mix_mode",
    "bpy.types.Constraint.shrinkwrap_type",
    "bpy.types.Constraint.subtarget",
    "bpy.types.Constraint.target",
    "bpy.types.Context.space_data",
    "bpy.types.FModifier.control_points",
    "bpy.types.FModifier.offset",
    "bpy.types.Material.diffuse_color",  # of any four numbers
    "bpy.types.Modifier.object",
    "bpy.types.NodeSocket.default_value",
    "bpy.types.Object.data",
    "bpy.types.Object.pose",
    "bpy.types.Property.default",
    "bpy.types.Property.enum_items",
}
# functions that return what a text names, or that the types say return nothing, or one of two kinds
RESULTS = {
    "bpy.types.bpy_struct.id_properties_ui",
    "bpy.types.bpy_struct.path_resolve",
    "bpy.types.BlendDataLibraries.load",
}
# functions that take sequences of any kind (vectors, arrays), or words that are put together
ANY_ARGUMENTS = {
    "bpy.types.bpy_prop_array.foreach_set",
    "gpu.state.depth_test_set",
    "gpu_extras.batch.batch_for_shader",
    "mathutils.Matrix",
    "mathutils.Matrix.Translation",
    "mathutils.Vector",
}
# what Blender's classes have, and their types lack
METHODS = {
    "bpy.types.ContextTempOverride": ("__enter__", "__exit__"),
    "gpu.matrix.MatrixStackContext": ("__enter__", "__exit__"),
    "bpy.types.bpy_prop_array": ("__getitem__", "__len__"),
    "bpy.types.bpy_struct": ("__contains__",),
    "mathutils.Vector": ("__iter__",),
}
METHOD_RESULTS = {"__contains__": "bool", "__len__": "int"}
MODULES = {
    EXTENSION + name.rpartition(".")[0] for name in (*ADDED.values(), *ADDED_COLLECTIONS.values())
}


class BlenderPlugin(Plugin):
    """Gives mypy the types above."""

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        """The extension's modules are checked once those are known that add to Blender's
        classes."""
        if not file.fullname.startswith(EXTENSION) or file.fullname.startswith(
            EXTENSION + "thunder_core"
        ):
            return []
        return [(20, module, -1) for module in sorted(MODULES - {file.fullname})]

    def get_customize_class_mro_hook(self, fullname: str):
        """Makes the names known; the types of attributes follow when they are read."""
        names = [
            name.rpartition(".")[2]
            for name in (*ADDED, *ADDED_COLLECTIONS, *ADDED_STRINGS, *BY_KIND)
            if name.rpartition(".")[0] == fullname
        ]
        methods = METHODS.get(fullname, ())

        def add(context: ClassDefContext) -> None:
            anything = AnyType(TypeOfAny.explicit)
            for name in names:
                add_attribute_to_class(context.api, context.cls, name, anything)
            for name in methods:
                given = Argument(Var("given", anything), anything, None, ARG_STAR)
                result: Type = context.api.named_type(
                    f"builtins.{METHOD_RESULTS.get(name, 'object')}"
                )
                result = anything if name in ("__getitem__", "__iter__") else result
                arguments = [] if name in ("__iter__", "__len__") else [given]
                add_method_to_class(context.api, context.cls, name, arguments, result)

        return add if names or methods else None

    def get_attribute_hook(self, fullname: str):
        """Gives an attribute its type."""
        if fullname in ADDED:
            return lambda context: _instance(context, EXTENSION + ADDED[fullname])
        if fullname in ADDED_COLLECTIONS:
            return lambda context: _instance(
                context, COLLECTION, _instance(context, EXTENSION + ADDED_COLLECTIONS[fullname])
            )
        if fullname in ADDED_STRINGS:
            return lambda context: context.api.named_generic_type("builtins.str", [])
        if fullname in BY_KIND:
            return lambda context: AnyType(TypeOfAny.explicit)
        if fullname == "bpy.types.bpy_struct.id_data":
            return _owner
        return _without_none if fullname in NEVER_NONE else None

    def get_function_signature_hook(self, fullname: str):
        """Lets a function take any arguments."""
        return _with_any_arguments if fullname in ANY_ARGUMENTS else None

    get_method_signature_hook = get_function_signature_hook

    def get_method_hook(self, fullname: str):
        """Gives what a function returns its type."""
        if fullname == "bpy.types.bpy_struct.driver_add":
            return lambda context: context.api.named_generic_type("bpy.types.FCurve", [])
        if fullname == "bpy.types.Context.evaluated_depsgraph_get":
            return lambda context: context.api.named_generic_type("bpy.types.Depsgraph", [])
        return (lambda context: AnyType(TypeOfAny.explicit)) if fullname in RESULTS else None


def _instance(context: AttributeContext, name: str, *of: Type) -> Type:
    """A class's type by its full name; Any where the extension is read later, as in the
    laboratory."""
    module, _, name = name.rpartition(".")
    assert isinstance(context.api, TypeChecker)
    file = context.api.modules.get(module)
    symbol = file.names.get(name) if file is not None else None
    info = symbol.node if symbol is not None else None
    return Instance(info, list(of)) if isinstance(info, TypeInfo) else context.default_attr_type


def _owner(context: AttributeContext) -> Type:
    """The data-block that holds a group of properties."""
    kind = get_proper_type(context.type)
    if isinstance(kind, Instance) and kind.type.fullname.startswith(EXTENSION):
        owner = OWNERS.get(kind.type.name, "Scene")
        return _instance(context, f"bpy.types.{owner}")
    return _without_none(context)


def _without_none(context: AttributeContext) -> Type:
    """The same type without None."""
    kind = get_proper_type(context.default_attr_type)
    if not isinstance(kind, UnionType):
        return kind
    return UnionType.make_union(
        [each for each in kind.items if not isinstance(each, NoneType)], kind.line
    )


def _with_any_arguments(context: FunctionSigContext | MethodSigContext) -> FunctionLike:
    """The same function for arguments of any types."""
    called = context.default_signature
    anything = AnyType(TypeOfAny.explicit)
    return called.copy_modified(arg_types=[anything] * len(called.arg_types))


def plugin(version: str) -> type[Plugin]:
    """What mypy calls."""
    return BlenderPlugin
