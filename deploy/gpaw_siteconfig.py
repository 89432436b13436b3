"""Build settings of GPAW: serial, with LibXC, FFTW and OpenBLAS; without them the build is useless."""

parallel_python_interpreter = False
mpi = False
compiler = "gcc"
libraries = ["xc", "fftw3", "openblas"]
fftw = True
