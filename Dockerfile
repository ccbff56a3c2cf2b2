# The image of a node, with the versions of constraints.txt:
#
#   docker build --target cpu --tag robust-audio-visual:0.1.0-cpu .
#   docker build --target gpu --tag robust-audio-visual:0.1.0-gpu .
#
# The two differ in torch alone. Its wheels bring their CUDA libraries, so all that the GPU image wants of its machine is
# a driver for CUDA 13 (580 or newer, https://docs.nvidia.com/deploy/cuda-compatibility/) and the NVIDIA Container
# Toolkit. PyAV and imageio-ffmpeg bring their ffmpeg.
#
# From Python's own image and not from rayproject/ray, which has Ray's own choice of versions in a conda environment, a
# second CUDA in its GPU variant, and a user who may become root.

FROM python:3.11-slim-bookworm AS libraries
# rsync and ssh: Ray's autoscaler copies files with them, and its head starts workers through them. wget: KubeRay asks a
# container with it whether it is alive.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openssh-client rsync wget \
    && rm -rf /var/lib/apt/lists/*
# 1000 is also the first user of an Ubuntu machine: what either of them writes, the other may change.
RUN useradd --create-home --uid 1000 --user-group --shell /bin/bash ray \
    && install --directory --owner=ray --group=ray /shared /home/ray/.ray /home/ray/.mlflow
# Ray reads from here where `~` of a mounted file is.
ENV HOME=/home/ray
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /opt/robust-audio-visual
# Into Python itself and not into a virtual environment: Ray starts everything in login shells, which reset PATH.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; extras = project["optional-dependencies"]; print(*project["dependencies"], *extras["s3"], *extras["aws"], sep="\n")' > requirements.txt
RUN grep --invert-match '^torch' requirements.txt > others.txt \
    && pip install --constraint constraints.txt --requirement others.txt setuptools

# What changes most often comes last, and is built beside: another line of code installs no library again.
FROM libraries AS code
COPY README.md LICENSE ./
COPY preprocessing preprocessing
COPY training training
COPY evaluation evaluation
COPY pipeline pipeline
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

FROM libraries AS cpu
# 2.14.1+cpu counts as newer than the 2.14.1 of the package index, so it is the one taken.
RUN grep '^torch' requirements.txt > torch.txt \
    && pip install --constraint constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu --requirement torch.txt \
    && python -c 'import torch; assert torch.version.cuda is None, torch.__version__'
RUN --mount=type=bind,from=code,source=/wheels,target=/wheels pip install --no-deps --no-index /wheels/*.whl
WORKDIR /home/ray
USER 1000

FROM libraries AS gpu
RUN grep '^torch' requirements.txt > torch.txt \
    && pip install --constraint constraints.txt --requirement torch.txt \
    && python -c 'import torch; assert torch.version.cuda, torch.__version__'
RUN --mount=type=bind,from=code,source=/wheels,target=/wheels pip install --no-deps --no-index /wheels/*.whl
WORKDIR /home/ray
USER 1000
