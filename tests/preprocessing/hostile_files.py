"""The table of files that a folder of downloaded videos may hold, each with the reason for refusing it, if any."""

from __future__ import annotations

import os
import random
import struct

from tests.preprocessing.hostile_media import (
    AAC,
    COPY,
    PASSTHROUGH,
    X264,
    HostileFile,
    at,
    copied,
    encoded,
    holding,
    in_turn,
    jumping_stream,
    kinetics,
    linked,
    names_its_pictures,
    nested_boxes,
    not_finite,
    overwritten,
    patched,
    size_change,
    subtitled,
    text,
    untouched,
    with_noise,
    with_second_source,
    zip_archive,
)

HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:pools=1", "-tag:v", "hvc1")
PQ = ("-vf", "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc")
AV1 = ("-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", 8)
TEN_BIT = ("-pix_fmt", "yuv420p10le")
TOP_FIRST = ("-flags", "+ildct+ilme", "-x264-params", "tff=1")
ENCRYPTED = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "00112233445566778899aabbccddeeff",
             "-encryption_kid", "112233445566778899aabbccddeeff00")  # fmt: skip
SURROUND = ("-af", "pan=5.1|FL=c0|FR=c1|FC=0.3*c0|LFE=0.01*c0|BL=c0|BR=c1")

ODD_PICTURES = (
    kinetics("moovFirst", "an ordinary file, its index first", "", untouched),
    kinetics("moovLast", "its index last", "", copied()),
    kinetics("fragments", "fragmented MP4", "", copied("-movflags", "frag_keyframe+empty_moov+default_base_moof")),
    kinetics("oddSize", "95x63 pixels, full colour", "", encoded("-s", "95x63", "-pix_fmt", "yuv444p")),
    kinetics("turned", "a display matrix of 90 degrees", "", copied(before=("-display_rotation", 90))),
    kinetics("uneven", "frames at random times", "", encoded("-vf", "select='gt(random(7),0.4)'", "-fps_mode", "vfr")),
    kinetics("fps5", "5 frames a second", "", encoded("-r", 5)),
    kinetics("fps60", "60 frames a second", "", encoded("-r", 60)),
    kinetics("fpsNtsc", "30000/1001 frames a second", "", encoded("-r", "30000/1001")),
    kinetics("hdr10", "HEVC, 10 bits, BT.2020, PQ", "", encoded(*HEVC, *TEN_BIT, *PQ)),
    kinetics("high10", "H.264 with 10 bits", "", encoded(*TEN_BIT)),
    kinetics("grey", "H.264 without colour", "", encoded("-pix_fmt", "gray")),
    kinetics("fullRange", "full-range colour", "", encoded("-vf", "scale=out_range=full", "-pix_fmt", "yuvj420p")),
    kinetics("widePixels", "pixels twice as wide as high", "", encoded("-vf", "setsar=2")),
    kinetics("interlaced", "two fields a frame", "", encoded(*TOP_FIRST)),
    kinetics("tiny", "16x16 pixels", "", encoded("-s", "16x16")),
    kinetics("panorama", "13 times as wide as high", "", encoded("-s", "640x48")),
    kinetics("full-hd", "1920x1080 pixels", "", encoded("-s", "1920x1080", "-r", 5)),
    kinetics("allIntra", "keyframes only", "", encoded("-g", 1)),
    kinetics("oneGroup", "one keyframe, eight B-frames", "", encoded("-preset", "veryfast", "-g", 9999, "-bf", 8)),
    kinetics("vp9", "VP9", "", encoded("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8)),
    kinetics("av1", "AV1", "", encoded(video=AV1)),
    kinetics("mpeg4", "MPEG-4 part 2", "", encoded("-c:v", "mpeg4")),
    kinetics("sizeChange", "larger pictures after 1 s", "", size_change),
)  # fmt: skip

ODD_SOUND = (
    kinetics("surround", "5.1 channels at 48 kHz", "", encoded(*SURROUND, "-ac", 6, "-ar", 48000)),
    kinetics("rate8k", "8 kHz, mono", "", encoded("-ar", 8000, "-ac", 1)),
    kinetics("rate96k", "96 kHz", "", encoded("-ar", 96000)),
    kinetics("mp3", "MP3 in MP4", "", encoded("-c:a", "libmp3lame")),
    kinetics("opus", "Opus in MP4", "", encoded("-c:a", "libopus", "-ar", 48000)),
    kinetics("alac", "ALAC in MP4", "", encoded("-c:a", "alac")),
    kinetics("opposite", "right is the negative of left", "", encoded("-af", "pan=stereo|c0=c0|c1=-1*c0")),
    kinetics("silent", "digital silence", "", encoded("-af", "volume=0")),
    kinetics("clipped", "40 dB too loud", "", encoded("-af", "volume=40dB")),
    kinetics("soundCut", "sound of 1.3 s under 2 s", "", encoded("-af", "atrim=0:1.3")),
    kinetics("gap", "packets of sound missing from 0.9 to 1.1 s", "",
             copied("-bsf:a", "noise=drop='between(pts\\,39690\\,48510)'")),
)  # fmt: skip

ODD_TIMES_AND_STREAMS = (
    kinetics("videoHalf", "video of 1 s under sound of 2 s", "", encoded("-vf", "trim=0:1")),
    kinetics("short", "0.6 s", "", encoded("-t", 0.6)),
    kinetics("soundLate", "sound from 0.4 s on", "", with_second_source(
        "-i", "LAST", "-itsoffset", 0.4, "-i", "LAST", "-map", "0:v", "-map", "1:a", *COPY)),
    kinetics("videoLate", "video from 0.4 s on", "", with_second_source(
        "-itsoffset", 0.4, "-i", "LAST", "-i", "LAST", "-map", "0:v", "-map", "1:a", *COPY)),
    kinetics("startsLate", "both from 5 s on", "", encoded("-output_ts_offset", 5)),
    kinetics("cut", "a copied cut: hidden pictures first", "",
             copied("-avoid_negative_ts", "disabled", before=("-ss", 0.63))),
    kinetics("negative", "negative composition offsets", "",
             encoded("-bf", 3, "-movflags", "+negative_cts_offsets")),
    kinetics("twoSounds", "two streams of sound", "", with_second_source(
        "-i", "LAST", "-map", "0:v", "-map", "0:a", "-map", "0:a", *COPY)),
    kinetics("twoVideos", "two streams of pictures", "", with_second_source(
        "-i", "MASTER", "-map", "0:v", "-map", "0:v", "-map", "0:a", *X264, "-s:v:1", "48x32", *AAC)),
    kinetics("cover", "cover art before the video", "", with_second_source(
        "-i", "COVER", "-i", "LAST", "-map", 0, "-map", 1, *COPY, "-disposition:v:0", "attached_pic")),
    kinetics("subtitles", "a stream of subtitles", "", subtitled),
    kinetics("timecode", "a stream of data", "", copied("-timecode", "01:00:00:00")),
    kinetics("attachment", "Matroska with a file attached", "", with_second_source(
        "-i", "LAST", "-attach", "COVER", "-metadata:s:t", "mimetype=image/png", *COPY, "-f", "matroska")),
    kinetics("webm", "WebM under another name", "",
             encoded("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", 8, "-c:a", "libvorbis", "-f", "webm")),
    kinetics("matroska", "Matroska under another name", "", copied("-f", "matroska")),
    kinetics("tailCut", "its last 100 bytes missing", "", patched(lambda data: data[:-100])),
    kinetics("latinTitle", "a title that is not UTF-8", "", lambda maker, path: (
        maker.ffmpeg("-i", maker.moov_last, *COPY, "-metadata", "title=QQQQQQ", path),
        path.write_bytes(path.read_bytes().replace(b"QQQQQQ", b"\xff\xfe\xe9\xfc\x80Q")))),
)  # fmt: skip

NAMES = (
    *(HostileFile(name, "an id that looks like an option or holds separators", "", untouched) for name in (
        "-leadingDsh_000000_000010.mp4", "--version-0_000003_000013.mp4", "__________-_000120_000130.mp4",
        "a-b_c-d_e-f_000001_000011.mp4")),
    HostileFile("upperCase00_000000_000010.MP4", "an extension in capitals", "", untouched),
    HostileFile("onlyAnId-00.mp4", "an id without times, which no list names", "bad_name", untouched),
    kinetics("hardLink", "another name of a clip", "", lambda maker, path: path.hardlink_to(
        path.with_name("moovFirst00_000000_000010.mp4"))),
    kinetics("link", "a link to a clip beside it", "", linked("moovFirst00_000000_000010.mp4")),
    *(HostileFile(name, "a good clip under a bad name", "bad_name", untouched) for name in (
        "has space 00_000000_000010.mp4", "new\nline000_000000_000010.mp4", "tab\there0000_000000_000010.mp4",
        "ünïcødé_名前_000000_000010.mp4", "rtl\u202e4pm.evil_000000_000010.mp4", "$(touch PWNED)_000000_000010.mp4",
        "a;touch PWNED;_000000_000010.mp4", "quote'\"0000_000000_000010.mp4", "%s%n%d00000_000000_000010.mp4",
        "short_000000_000010.mp4", "twelvechars1_000000_000010.mp4", "badTimes000_0_10.mp4",
        "alphaTimes0_00000a_0000zz.mp4", "endB4Start0_000020_000010.mp4",
        "hugeTimes00_999999999999_999999999999.mp4", "=cmd|calc00_000000_000010.mp4", "L" * 240 + "_x.mp4",
        os.fsdecode(b"\xff\xfe\xfdlatin1xx_000000_000010.mp4"))),
    HostileFile(".hiddenFile_000000_000010.mp4", "hidden", "unlisted", untouched, listed=False),
    HostileFile("partialDown_000000_000010.mp4.part", "half downloaded", "unlisted", untouched, listed=False),
)  # fmt: skip

NO_FILES = (
    kinetics("linkPasswd", "a link to /etc/passwd", "outside_root", linked("/etc/passwd")),
    kinetics("linkCanary", "a link out of the root", "outside_root", linked("{folder}/canary")),
    kinetics("linkClip", "a link to a good clip outside of the root", "outside_root", linked("{folder}/moov_last.mp4")),
    kinetics("linkUp", "the same, by way of ..", "outside_root", linked("../../moov_last.mp4")),
    kinetics("linkNowhere", "a link to nothing", "missing_file", linked("/nonexistent/x.mp4")),
    kinetics("linkSelf", "a link to itself", "unreadable", linked("{path}")),
    kinetics("linkZeros", "a link to an endless device", "outside_root", linked("/dev/zero")),
    kinetics("pipe", "a named pipe: opening it would wait for ever", "not_regular", lambda _, path: os.mkfifo(path)),
    kinetics("folder", "a folder", "not_regular", lambda _, path: path.mkdir(), listed=False),
)

NAMING_OTHERS = (
    kinetics("hlsFile", "a playlist that names a file", "not_media", text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{canary}\n#EXT-X-ENDLIST\n")),
    kinetics("hlsClip", "a playlist that names the clip beside it", "not_media", text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nmoovFirst00_000000_000010.mp4\n#EXT-X-ENDLIST\n")),
    kinetics("hlsHttp", "a playlist that names an address", "not_media", text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n")),
    kinetics("hlsConcat", "a playlist that sends a file to an address (CVE-2016-1897)", "not_media", text(
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\nconcat:http://127.0.0.1:{port}/h|file://{canary}\n"
        "#EXT-X-ENDLIST\n")),
    kinetics("concatClip", "a script that names the clip beside it", "not_media", text(
        "ffconcat version 1.0\nfile 'moovFirst00_000000_000010.mp4'\nduration 10\n")),
    kinetics("concatFile", "a script that names a file", "not_media", text(
        "ffconcat version 1.0\nfile '{canary}'\n")),
    kinetics("dashFile", "a manifest that names a file", "not_media", text(
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT10S" minBufferTime="PT1S" '
        'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="video/mp4">'
        '<Representation id="1" bandwidth="1"><BaseURL>file://{canary}</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>")),
    kinetics("sdp", "a session description, which opens sockets", "not_media", text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n")),
    kinetics("alias", "MP4 whose pictures lie in another file", "no_frames", names_its_pictures),
)  # fmt: skip

OTHER_FORMATS = (
    kinetics("empty", "no bytes", "not_media", holding(b"")),
    kinetics("oneByte", "one byte", "not_media", holding(b"x")),
    kinetics("noise", "noise", "not_media", holding(random.Random(1).randbytes(200_000))),
    kinetics("zeros", "zeros", "not_media", holding(bytes(200_000))),
    kinetics("html", "an error page", "not_media", holding(b"<!DOCTYPE html><title>Video unavailable</title>")),
    kinetics("zip", "an archive", "not_media", holding(zip_archive())),
    kinetics("mpegTs", "MPEG-TS that jumps by 25 hours", "timestamp_jump", jumping_stream),
    kinetics("avi", "AVI under another name", "not_media", encoded("-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi")),
    kinetics("flv", "FLV", "not_media", encoded("-c:v", "flv1", "-c:a", "libmp3lame", "-f", "flv")),
    kinetics("gif", "a moving GIF", "not_media", encoded("-an", "-c:v", "gif", "-pix_fmt", "rgb8", "-f", "gif")),
    kinetics("jpeg", "a picture", "not_media", encoded(
        "-an", "-frames:v", 1, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "image2", "-update", 1)),
    kinetics("wav", "sound alone", "not_media", encoded("-vn", "-c:a", "pcm_s16le", "-f", "wav")),
)  # fmt: skip

TOO_LITTLE = (
    kinetics("noSound", "no sound", "no_audio", copied("-an")),
    kinetics("noVideo", "no video", "no_video", copied("-vn")),
    kinetics("coverOnly", "cover art and sound", "no_video", with_second_source(
        "-i", "COVER", "-i", "LAST", "-map", 0, "-map", "1:a", *COPY, "-disposition:v:0", "attached_pic")),
    kinetics("oneFrame", "one picture", "one_frame", encoded("-vf", "trim=end_frame=1")),
    kinetics("sound50ms", "sound of 0.05 s", "audio_coverage", encoded("-af", "atrim=0:0.05")),
    kinetics("tooShort", "0.2 s", "too_short", encoded("-t", 0.2)),
    kinetics("noMoov", "half a file, its index lost", "open_failed", lambda maker, path: path.write_bytes(
        maker.moov_last.read_bytes()[: maker.moov_last.stat().st_size // 2])),
    kinetics("half", "half a file, its index first", "truncated", patched(lambda data: data[: 6 * len(data) // 10])),
    kinetics("headless", "the second half of a file", "not_media", patched(lambda data: data[len(data) // 2 :])),
    kinetics("initOnly", "streams, but no fragment of them", "no_frames", lambda maker, path: (
        maker.ffmpeg("-i", maker.moov_last, *COPY, "-movflags", "frag_keyframe+empty_moov+default_base_moof", path),
        path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"moof") - 4]))),
    kinetics("ftypOnly", "the first box alone", "open_failed", patched(lambda data: data[:32])),
)  # fmt: skip

LYING = (
    kinetics("halfNoise", "half of the pictures and sound is noise", "decode_errors", patched(with_noise)),
    kinetics("codecVideo", "an unknown code for the pictures", "no_decoder", patched(
        lambda data: data.replace(b"avc1", b"xxxx"))),
    kinetics("codecSound", "an unknown code for the sound", "no_decoder", patched(
        in_turn(overwritten(lambda data: at(data, b"smhd", b"mp4a") - 4, b"zzzz"),
                lambda data: data.replace(b"esds", b"xsds")))),
    kinetics("manySamples", "an index of 268 million samples", "open_failed", patched(
        overwritten(lambda data: at(data, b"stsz") + 8, struct.pack(">I", 0x0FFFFFFF)))),
    kinetics("slow", "an hour between two frames", "timestamp_jump", patched(in_turn(
        overwritten(lambda data: at(data, b"stts") + 12, struct.pack(">I", 12_800 * 3600)),
        lambda data: data.replace(b"edts", b"free")))),
    kinetics("spilt", "an index smaller than what it holds", "no_video", patched(
        overwritten(lambda data: data.index(b"moov") - 4, struct.pack(">I", 16)))),
    kinetics("nested", "2000 boxes inside each other", "open_failed", patched(nested_boxes)),
    kinetics("sizeLie", "65535x65535 in the header, 96x64 in the stream", "too_large", patched(in_turn(
        overwritten(lambda data: at(data, b"stsd", b"avc1") + 24, struct.pack(">HH", 65535, 65535)),
        overwritten(lambda data: at(data, b"tkhd") + 76, struct.pack(">II", 0xFFFF0000, 0xFFFF0000))))),
    kinetics("zeroed", "zeros for pictures and sound", "decode_errors", patched(
        lambda data: data[: at(data, b"mdat")] + bytes(len(data) - at(data, b"mdat")))),
    kinetics("noScale", "a time scale of zero", "timestamp_jump", patched(in_turn(
        overwritten(lambda data: at(data, b"mdhd") + 12, bytes(4)),
        overwritten(lambda data: at(data, b"mvhd") + 12, bytes(4))))),
    kinetics("bomb", "pictures of 4160x4160 pixels in a few kilobytes", "too_large", with_second_source(
        "-f", "lavfi", "-i", "color=gray:s=4160x4160:r=1:d=1", "-i", "LAST", "-map", "0:v", "-map", "1:a",
        "-c:a", "copy", *X264, "-x264-params", "rc-lookahead=0:ref=1", "-threads", 1)),
    kinetics("pngBomb", "pictures of 9000x9000 pixels, packed", "too_large", with_second_source(
        "-f", "lavfi", "-i", "color=gray:s=9000x9000:r=1:d=1,format=monob", "-i", "LAST", "-map", "0:v",
        "-map", "1:a", "-c:a", "copy", "-c:v", "png", "-threads", 1)),
    kinetics("twelveHours", "three pictures, six hours apart", "timestamp_jump", with_second_source(
        "-f", "lavfi", "-i", "color=gray:s=96x64:r=25:d=0.12,setpts=N*21600/TB", "-i", "LAST", "-map", "0:v",
        "-map", "1:a", *PASSTHROUGH, "-enc_time_base", "1/25", *X264, "-c:a", "copy")),
    kinetics("fps90000", "90,000 frames a second", "frame_rate", encoded(
        "-vf", "settb=1/90000,setpts=N", "-enc_time_base", "1/90000", *PASSTHROUGH, "-bf", 0,
        "-video_track_timescale", 90_000)),
    kinetics("encrypted", "encrypted, without its key", "decode_errors", copied(*ENCRYPTED)),
    kinetics("notFinite", "sound with NaN and infinity", "nonfinite_audio", not_finite),
)  # fmt: skip

HOSTILE_FILES: tuple[HostileFile, ...] = (
    *ODD_PICTURES, *ODD_SOUND, *ODD_TIMES_AND_STREAMS, *NAMES, *NO_FILES, *NAMING_OTHERS, *OTHER_FORMATS, *TOO_LITTLE,
    *LYING,
)  # fmt: skip
